//! The scratch PostgreSQL.

#![cfg(test)]

use std::net::TcpStream;

use local::postgres::{Error, Logins, Postgres, Settings};
use secrecy::ExposeSecret;
use tokio::runtime::Runtime;

#[tokio::test]
async fn logins_are_counted_by_the_servers_answer() {
    let postgres = Postgres::shared().await.unwrap();
    postgres
        .execute("CREATE ROLE counted LOGIN PASSWORD 'right'; CREATE ROLE counted_too LOGIN PASSWORD 'right'")
        .await
        .unwrap();
    for (role, password) in [
        ("counted", "right"),
        ("counted", "wrong"),
        ("counted", "right"),
        ("counted_too", "right"),
    ] {
        drop(postgres.connect(role, password, "postgres").await);
    }
    let logins = postgres.logins("counted").unwrap();
    assert_eq!(
        logins,
        Logins {
            accepted: 2,
            rejected: 1
        }
    );
}

#[tokio::test]
async fn a_wrong_password_is_distinguished_from_an_absent_server() {
    let postgres = Postgres::start(Settings::default()).await.unwrap();
    let Err(Error::Refused(wrong)) = postgres.connect("postgres", "wrong", "postgres").await else {
        panic!("it was let in");
    };
    assert_eq!(wrong.code().map(|code| code.code()), Some("28P01"));
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_neither_a_process_nor_a_folder() {
    let postgres = Postgres::start(Settings::default()).await.unwrap();
    let (folder, port) = (postgres.folder().to_owned(), postgres.port());
    assert!(folder.exists() && TcpStream::connect(("127.0.0.1", port)).is_ok());
    drop(postgres);
    assert!(!folder.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why_in_its_own_words() {
    let settings = Settings {
        conf: "no_such_setting = 1".to_owned(),
        ..Settings::default()
    };
    let error = Postgres::start(settings).await.unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn the_shared_server_outlives_the_runtime_that_started_it() {
    let port = || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let postgres = Postgres::shared().await.unwrap();
            postgres.execute("SELECT 1").await.unwrap();
            postgres.port()
        })
    };
    assert_eq!(port(), port());
}

#[tokio::test]
async fn no_password_stands_in_its_debug_output_or_its_log() {
    let postgres = Postgres::shared().await.unwrap();
    let password = postgres.superuser_password().expose_secret();
    assert!(!format!("{postgres:?}").contains(password));
    assert!(!postgres.log().unwrap().contains(password));
}
