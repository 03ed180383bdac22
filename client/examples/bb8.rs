//! bb8: its own pool, whose connections change over.
//!
//! Beside `cargo run --bin local -- up`, with its endpoint and CA file in the environment:
//! `SECRET_ID=demo/stock/alternating CA_FILE=… cargo run -p rotating-secret --example bb8 --all-features`,
//! and in a third terminal `aws secretsmanager rotate-secret --secret-id demo/stock/alternating`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{env, error::Error, path::PathBuf, time::Duration};

use rotating_secret::{RotatingSecret, pool, postgres, provider::Aws};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = RotatingSecret::builder(env::var("SECRET_ID")?)
        .build(Aws::from_env().await?)
        .await?;
    // RDS's roots are built in; your own server may have another one
    let ca_file = env::var_os("CA_FILE").map(PathBuf::from);
    let tls = postgres::tls(ca_file.as_deref())?;
    postgres::listen(&secret, tls.clone())?;
    let pool = pool::bb8::pool(&secret, tls, |builder| builder.max_size(8)).await?;
    for _ in 0..60 {
        let client = pool.get().await?;
        let user: String = client
            .query_one("SELECT session_user::text", &[])
            .await?
            .get(0);
        println!("served as {user}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
