//! sqlx: its own pool, whose connections change over.
//!
//! Beside `cargo run --bin local -- up`, with its endpoint and CA file in the environment:
//! `SECRET_ID=demo/stock/alternating CA_FILE=… cargo run -p rotating-secret --example sqlx --all-features`,
//! and in a third terminal `aws secretsmanager rotate-secret --secret-id demo/stock/alternating`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{env, error::Error, path::PathBuf, time::Duration};

use rotating_secret::{RotatingSecret, pool, postgres, provider::Aws};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = RotatingSecret::builder(env::var("SECRET_ID")?)
        .build(Aws::from_env().await?)
        .await?;
    // RDS's roots are built in; your own server may have another one
    let ca_file = env::var_os("CA_FILE").map(PathBuf::from);
    postgres::listen(&secret, postgres::tls(ca_file.as_deref())?)?;
    let mut options = PgConnectOptions::new_without_pgpass().application_name("shop");
    if let Some(ca_file) = ca_file {
        options = options.ssl_root_cert(ca_file);
    }
    let pool = pool::sqlx::pool(&secret, options, PgPoolOptions::new().max_connections(8)).await?;
    for _ in 0..60 {
        let user: String = sqlx::query_scalar("SELECT session_user::text")
            .fetch_one(&pool)
            .await?;
        println!("served as {user}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
