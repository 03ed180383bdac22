//! The error of a pool that cannot connect: the cause, the host and the port, not only that it took too long.
#![cfg(all(feature = "bb8", feature = "deadpool", feature = "sqlx"))]
#![cfg(test)]

mod common;

use std::time::Duration;

use common::{chain, closed_port, of_document};
use rotating_secret::{RotatingSecret, pool};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpSocket;
use tokio_postgres::NoTls;

/// The time in which a pool tries.
const TIME: Duration = Duration::from_secs(5);

/// A secret whose server does not exist, and its host and port.
async fn unreachable() -> (TcpSocket, RotatingSecret, String) {
    let (held, port) = closed_port();
    let document =
        json!({ "host": "127.0.0.1", "port": port, "username": "o", "password": "s3cret" });
    (
        held,
        of_document(document).await,
        format!("127.0.0.1 port {port}"),
    )
}

fn assert_reports(told: &str, place: &str) {
    assert!(told.contains("Connection refused"), "{told}");
    assert!(told.contains(place), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn bb8s_pool_reports_why_it_made_no_connection_in_time() {
    let (_held, secret, place) = unreachable().await;
    let pool = pool::bb8::pool(&secret, NoTls, |pool| pool.connection_timeout(TIME));
    let pool = pool.await.unwrap();
    let (first, owned) = tokio::join!(pool.get(), pool.get());
    assert_reports(&first.unwrap_err().to_string(), &place);
    assert_reports(&owned.unwrap_err().to_string(), &place);
}

#[tokio::test]
async fn deadpools_error_chain_shows_why_there_is_no_connection() {
    let (_held, secret, place) = unreachable().await;
    let pool = pool::deadpool::pool(&secret, NoTls, |pool| pool).unwrap();
    let told = chain(&pool.get().await.unwrap_err());
    assert_reports(&told, &place);
    assert_eq!(told.matches("Connection refused").count(), 1, "{told}");
}

#[tokio::test]
async fn sqlxs_pool_reports_why_it_made_no_connection_in_time() {
    let (_held, secret, place) = unreachable().await;
    let options = PgPoolOptions::new().acquire_timeout(TIME);
    let connect = PgConnectOptions::new_without_pgpass();
    let pool = pool::sqlx::pool(&secret, connect, options).await.unwrap();
    assert_reports(&pool.acquire().await.unwrap_err().to_string(), &place);
}

#[tokio::test]
async fn every_pool_reports_a_document_of_another_database() {
    for (field, value) in [("engine", json!("mysql")), ("port", json!(70000))] {
        let mut document = json!({ "host": "127.0.0.1", "username": "o", "password": "s3cret" });
        document[field] = value;
        let secret = of_document(document).await;
        let pool = pool::deadpool::pool(&secret, NoTls, |pool| pool);
        let deadpool = chain(&pool.unwrap_err());
        let pool = pool::bb8::pool(&secret, NoTls, |pool| pool).await;
        let bb8 = chain(&pool.unwrap_err());
        let connect = PgConnectOptions::new_without_pgpass();
        let pool = pool::sqlx::pool(&secret, connect, PgPoolOptions::new()).await;
        let sqlx = pool.unwrap_err().to_string();
        for told in [deadpool, bb8, sqlx] {
            assert!(told.contains(field), "{told}");
        }
    }
}
