//! A Lambda function that keeps one session from request to request.
//!
//! Between two requests Lambda freezes the process, for minutes or hours: then nothing renews the secret, no timer runs, and
//! the server may end the session. So each request begins with `usable()`, which reads the clock and asks the provider if the
//! credential is past its bound, and with a check of the session. `postgres::listen` does not help here: a frozen process
//! receives nothing.
//!
//! Build it with `cargo lambda build`, with SECRET_ID in the function's environment; for a server with its own root, set
//! CA_FILE.

use std::{env, path::PathBuf};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use rotating_secret::{RotatingSecret, postgres, provider::Aws};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

struct Shop {
    secret: RotatingSecret,
    tls: MakeRustlsConnect,
    /// A session, and the version of the secret that it logged in with.
    session: Mutex<Option<(String, Client)>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let ca_file = env::var_os("CA_FILE").map(PathBuf::from);
    let shop = Shop {
        secret: RotatingSecret::builder(env::var("SECRET_ID")?)
            .build(Aws::from_env().await?)
            .await?,
        tls: postgres::tls(ca_file.as_deref())?,
        session: Mutex::new(None),
    };
    let shop = &shop;
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| {
        shop.answer().await
    }))
    .await
}

impl Shop {
    async fn answer(&self) -> Result<Value, Error> {
        let mut session = self.session.lock().await;
        let version = self.secret.usable().await?.version().to_owned();
        let lives = match &*session {
            Some((of, client)) => *of == version && client.simple_query("").await.is_ok(),
            None => false,
        };
        if !lives {
            let client = postgres::connect(&self.secret, self.tls.clone()).await?;
            // another version than above, if the server rejected that one
            let version = self.secret.usable().await?.version().to_owned();
            *session = Some((version, client));
        }
        let Some((version, client)) = &*session else {
            return Err("there is no session".into());
        };
        let row = client.query_one("SELECT session_user::text", &[]).await?;
        Ok(json!({ "user": row.get::<_, String>(0), "version": version }))
    }
}
