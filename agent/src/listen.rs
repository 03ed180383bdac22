//! `[[listen]]`: the database announces a new version, and the agent has it milliseconds later.
//!
//! The rotation function sends NOTIFY. The client crate listens, with one connection for each secret, as that secret's own user.

use std::env;

use rotating_secret::{RotatingSecret, postgres};

use crate::{
    Error,
    followed::Followed,
    settings::{Listen, Settings},
};

/// Variables that Lambda sets for a function and for its extensions.
const LAMBDA: [&str; 2] = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_RUNTIME_API"];

/// What the settings listen for. In Lambda nothing: a followed secret would be read before the first invocation.
pub fn announced(settings: &Settings) -> &[Listen] {
    match LAMBDA.iter().any(|name| env::var_os(name).is_some()) {
        true => &[],
        false => &settings.listen,
    }
}

/// Listens for these secrets, if they are followed. A session begins when its secret is first read, and ends with the secret.
///
/// # Errors
///
/// A `ca_file` holds no certificate.
pub fn start(settings: &Settings, followed: &Followed) -> Result<(), Error> {
    let announced = announced(settings);
    if announced.len() < settings.listen.len() {
        tracing::warn!(
            "[[listen]] has no effect in Lambda, which freezes connections: a change is found within ttl_seconds"
        );
    }
    for listen in announced {
        let tls = postgres::tls(listen.ca_file.as_deref())?;
        if let Some(secret) = followed.get(&listen.secret) {
            tokio::spawn(begin(secret.clone(), tls));
        }
    }
    Ok(())
}

async fn begin(secret: RotatingSecret, tls: impl postgres::Tls) {
    if secret.usable().await.is_err() {
        // the client logs why, and keeps asking
        let _ = secret.changed_from("").await;
    }
    if let Err(error) = postgres::listen(&secret, tls) {
        tracing::warn!(%error, "a change is found within ttl_seconds");
    }
}
