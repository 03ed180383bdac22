//! axum over sqlx's pool: no request fails while the password rotates.
//!
//! Beside `cargo run --bin local -- up`, with its endpoint and CA file in the environment:
//! `SECRET_ID=demo/stock/alternating CA_FILE=… ADDRESS=127.0.0.1:8080 cargo run -p rotating-secret --example axum --all-features`,
//! then `curl http://127.0.0.1:8080/user`, and in a third terminal
//! `aws secretsmanager rotate-secret --secret-id demo/stock/alternating`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{env, error::Error, path::PathBuf};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use rotating_secret::{
    RotatingSecret,
    pool::{self, sqlx::Pool},
    postgres,
    provider::Aws,
};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Shop {
    secret: RotatingSecret,
    pool: Pool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = RotatingSecret::builder(env::var("SECRET_ID")?)
        .build(Aws::from_env().await?)
        .await?;
    // RDS's roots are built in; your own server may have another one
    let ca_file = env::var_os("CA_FILE").map(PathBuf::from);
    postgres::listen(&secret, postgres::tls(ca_file.as_deref())?)?;
    let mut options = PgConnectOptions::new_without_pgpass().application_name("shop");
    options = match ca_file {
        Some(ca_file) => options.ssl_root_cert(ca_file),
        None => options.ssl_root_cert_from_pem(postgres::RDS_ROOTS.to_vec()),
    };
    let pool = pool::sqlx::pool(&secret, options, PgPoolOptions::new().max_connections(8)).await?;
    let routes = Router::new()
        .route("/user", get(user))
        .route("/status", get(status))
        .with_state(Shop { secret, pool });
    let address = env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listens on {}", listener.local_addr()?);
    Ok(axum::serve(listener, routes).await?)
}

/// What a request does with the database: here it asks who it is.
async fn user(State(shop): State<Shop>) -> Result<String, (StatusCode, String)> {
    sqlx::query_scalar("SELECT session_user::text")
        .fetch_one(&shop.pool)
        .await
        .map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

/// Version, age, host and user. A credential is printed without its secrets.
async fn status(State(shop): State<Shop>) -> Result<Json<Value>, (StatusCode, String)> {
    let unavailable = |error: String| (StatusCode::SERVICE_UNAVAILABLE, error);
    let credential = shop.secret.current();
    let credential = credential.map_err(|error| unavailable(error.to_string()))?;
    let shown = serde_json::to_value(&*credential);
    shown
        .map(Json)
        .map_err(|error| unavailable(error.to_string()))
}
