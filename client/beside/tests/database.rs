//! sqlx with its default features, `macros` among them, and the client's pool in it. No database is needed.

#![cfg(test)]

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use rotating_secret::{
    RotatingSecret, pool,
    pool::sqlx::Pool,
    postgres,
    provider::{Fixed, Version},
};
use rotating_secret_beside::{application, newest};
use sqlx::{
    Executor, Postgres, SqlSafeStr,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tower::ServiceExt;

// nobody listens there
const DOCUMENT: &str =
    r#"{"host":"127.0.0.1","port":1,"username":"orders","password":"…","dbname":"orders"}"#;

async fn secret() -> RotatingSecret {
    let provider = Fixed::new().with("orders/db", Version::text("1", DOCUMENT));
    let secret = RotatingSecret::builder("orders/db").build(provider).await;
    secret.unwrap()
}

async fn pool() -> Pool {
    // its end is the point, however soon it comes
    let options = PgPoolOptions::new().acquire_timeout(Duration::from_millis(50));
    let connect = PgConnectOptions::new_without_pgpass();
    pool::sqlx::pool(&secret().await, connect, options)
        .await
        .unwrap()
}

/// What a library asks for that takes any of sqlx's executors.
async fn describe<'c>(executor: impl Executor<'c, Database = Postgres>) -> sqlx::Result<usize> {
    let described = executor.describe("SELECT 1".into_sql_str()).await?;
    Ok(described.columns().len())
}

#[tokio::test]
async fn the_clients_pool_is_an_executor_for_sqlxs_macros() {
    let pool = pool().await;
    assert!(newest(&pool).await.is_err());
    assert!(describe(&pool).await.is_err());
}

#[tokio::test]
async fn an_axum_handler_can_have_the_pool_as_its_state() {
    let request = Request::get("/orders").body(Body::empty()).unwrap();
    let answer = application(pool().await).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn deadpools_pool_is_built_with_the_clients_tls() {
    let tls = postgres::tls(None).unwrap();
    let pool = pool::deadpool::pool(&secret().await, tls, |pool| pool.max_size(4));
    assert!(pool.is_ok());
}
