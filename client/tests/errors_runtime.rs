//! Anything with its own task needs a runtime, and the error outside of one says so.
#![cfg(all(
    feature = "bb8",
    feature = "deadpool",
    feature = "listen",
    feature = "sqlx"
))]
#![cfg(test)]

mod common;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use rotating_secret::{
    RotatingSecret, pool, postgres,
    provider::{Fixed, Version},
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_postgres::{
    NoTls, Socket,
    tls::{MakeTlsConnect, NoTlsError, NoTlsStream},
};

const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf";

async fn secret(port: u16) -> RotatingSecret {
    let document = format!(
        r#"{{"host":"127.0.0.1","port":{port},"username":"o","password":"p","ssl":false}}"#
    );
    let mut version = Version::text("v1", document);
    version.arn = Some(ARN.to_owned());
    let provider = Fixed::new().with("orders/db", version);
    let built = RotatingSecret::builder("orders/db").build(provider).await;
    built.unwrap()
}

/// Polls once, as another runtime than tokio's would.
fn polled<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits for what never comes"),
    }
}

#[test]
fn outside_a_runtime_nothing_panics_and_each_error_says_what_is_missing() {
    let runtime = Runtime::new().unwrap();
    let secret = runtime.block_on(secret(5432));
    let connect = PgConnectOptions::new_without_pgpass();
    let sqlx = pool::sqlx::pool(&secret, connect, PgPoolOptions::new());
    for told in [
        postgres::listen(&secret, NoTls).unwrap_err().to_string(),
        polled(postgres::connect(&secret, NoTls))
            .err()
            .unwrap()
            .to_string(),
        pool::deadpool::pool(&secret, NoTls, |pool| pool)
            .unwrap_err()
            .to_string(),
        polled(pool::bb8::pool(&secret, NoTls, |pool| pool))
            .unwrap_err()
            .to_string(),
        polled(sqlx).unwrap_err().to_string(),
    ] {
        assert!(told.to_lowercase().contains("runtime"), "{told}");
    }
}

/// Counts its uses.
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        Self(self.0.clone())
    }
}

impl MakeTlsConnect<Socket> for Counted {
    type Stream = NoTlsStream;
    type TlsConnect = NoTls;
    type Error = NoTlsError;

    fn make_tls_connect(&mut self, _: &str) -> Result<NoTls, NoTlsError> {
        Ok(NoTls)
    }
}

#[tokio::test]
async fn two_listeners_share_one_connection() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secret = secret(server.local_addr().unwrap().port()).await;
    let (first, second) = (Arc::default(), Arc::default());
    postgres::listen(&secret, Counted(Arc::clone(&first))).unwrap();
    postgres::listen(&secret.clone(), Counted(Arc::clone(&second))).unwrap();
    let _connection = server.accept().await.unwrap();
    common::settle().await;
    assert!(first.load(Ordering::SeqCst) > 0);
    assert_eq!(second.load(Ordering::SeqCst), 0);
}
