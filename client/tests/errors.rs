//! One rule for every error: its text is one line with all causes, and a printed chain shows each cause once.
#![cfg(feature = "postgres")]
#![cfg(test)]

mod common;

use std::error::Error as StdError;

use common::{Scripted, chain, closed_port, of_document};
use rotating_secret::{
    Attempt, BuildError, Error, LogInError, RotatingSecret,
    postgres::{self, ConnectError, Refusal},
    provider::{ProviderError, ProviderErrorKind as Kind},
};
use serde_json::json;
use tokio_postgres::NoTls;

fn assert_once(error: &(dyn StdError + 'static), cause: &str) {
    let chain = chain(error);
    assert_eq!(chain.matches(cause).count(), 1, "{cause:?} in: {chain}");
    assert!(
        error.to_string().contains(cause),
        "{error} without {cause:?}"
    );
    assert!(!chain.contains('\n'), "{chain}");
}

fn failure() -> ProviderError {
    ProviderError::new(Kind::AccessDenied, "the store says no")
}

fn unreadable() -> Error {
    Error::Provider {
        secret: "orders/db".into(),
        reason: failure(),
    }
}

#[test]
fn no_error_repeats_a_cause() {
    let cause = "the store says no";
    assert_once(&failure(), cause);
    assert_once(&unreadable(), cause);
    let expired = Error::Expired {
        secret: "orders/db".into(),
        seconds: 1,
        last: Some(failure()),
    };
    assert_once(&expired, cause);
    assert_once(&BuildError::First(unreadable()), cause);
    assert_once(&ConnectError::Secret(unreadable()), cause);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_failed_or_rejected_login_shows_the_servers_answer_once() {
    let secret = common::secret(&Scripted::new("v1")).await;
    let failed: Result<(), LogInError<ProviderError>> = secret
        .log_in(async |_| Err(Attempt::Failed(failure())))
        .await;
    assert_once(&failed.unwrap_err(), "the store says no");
    let rejected: Result<(), LogInError<ProviderError>> = secret
        .log_in(async |_| Err(Attempt::Rejected(failure())))
        .await;
    assert_once(&rejected.unwrap_err(), "the store says no");
}

fn of(error: ConnectError) -> Refusal {
    match error {
        ConnectError::Failed(refusal) => refusal,
        other => panic!("{other}"),
    }
}

async fn refusal(document: serde_json::Value) -> Refusal {
    let connected = postgres::connect(&of_document(document).await, NoTls).await;
    of(connected.unwrap_err())
}

#[tokio::test]
async fn an_unreachable_server_is_reported_with_cause_host_and_port() {
    let (_held, port) = closed_port();
    let document =
        json!({ "host": "127.0.0.1", "port": port, "username": "o", "password": "s3cret" });
    let error = refusal(document).await;
    for cause in ["Connection refused", &format!("127.0.0.1 port {port}")] {
        assert_once(&error, cause);
    }
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn an_untrusted_certificate_is_reported_with_host_and_port() {
    use local::world::{Options, World};
    use rotating_secret::provider::Aws;
    let world = World::start(Options::new("none")).await.unwrap();
    let provider = Aws::from_clients([world.aws()]);
    let builder = RotatingSecret::builder(world.single_user());
    let secret = builder.build(provider).await.unwrap();
    let credential = secret.current().unwrap();
    let place = format!("{} port {}", credential.host().unwrap(), credential.port());
    let error = postgres::connect(&secret, postgres::tls(None).unwrap()).await;
    let error = of(error.err().unwrap());
    for cause in ["UnknownIssuer", &place] {
        assert_once(&error, cause);
    }
}

#[tokio::test]
async fn a_document_without_a_postgresql_login_is_reported_with_its_field() {
    let document = |field: &str, value: serde_json::Value| {
        let mut document = json!({ "host": "127.0.0.1", "username": "o", "password": "s3cret" });
        document[field] = value;
        document
    };
    for port in [json!(0), json!(70000), json!("abc"), json!(-1), json!(1.5)] {
        let error = refusal(document("port", port.clone())).await;
        assert_once(&error, "\"port\"");
        assert!(error.to_string().contains("orders/db"), "{port}: {error}");
    }
    for engine in ["mysql", "sqlserver"] {
        let error = refusal(document("engine", json!(engine))).await;
        assert!(error.to_string().contains("PostgreSQL"), "{error}");
        assert_once(&error, engine);
    }
}

#[tokio::test]
async fn the_value_of_engine_is_shown_only_if_it_can_be_an_engine() {
    for engine in ["mysql://orders:s3cret@db", "mysql\n2026 ERROR s3cret"] {
        let document =
            json!({ "engine": engine, "host": "127.0.0.1", "username": "o", "password": "s3cret" });
        let error = refusal(document).await;
        let told = format!("{error} {error:?}");
        assert!(told.contains("engine"), "{told}");
        assert!(!told.contains("s3cret") && !told.contains('\n'), "{told}");
    }
}

#[tokio::test]
async fn every_engine_name_of_postgresql_is_accepted() {
    let (_held, port) = closed_port();
    for engine in [
        json!("postgres"),
        json!("aurora-postgresql"),
        json!(null),
        json!(""),
    ] {
        let document = json!({ "engine": engine, "host": "127.0.0.1", "port": port, "username": "o", "password": "s3cret" });
        let error = refusal(document).await.to_string();
        assert!(error.contains("Connection refused"), "{engine}: {error}");
    }
}
