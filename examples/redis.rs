//! A complete third system: users of Redis and Valkey. docs/engines.md is the guide.
//!
//! A user there may have several passwords at once, so the old one stays valid until the next rotation.

use std::time::{Duration, SystemTime};

use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection, cmd};
use secrecy::ExposeSecret;
use secret_rotation::document::Document;
use secret_rotation::engine::{Disconnect, Engine, EngineError, Login, Proven};
use secret_rotation::function::Function;
use sha2::{Digest, Sha256};

/// The limit of a connection attempt and of each answer.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Redis;

impl Engine for Redis {
    const ENGINES: &'static [&'static str] = &["redis", "valkey"];
    type Session = ();

    async fn log_in(&self, document: &Document) -> Result<Login<()>, EngineError> {
        match log_in(document).await {
            Ok(_) => Ok(Login::Accepted(())),
            Err(error) if error.code() == Some("WRONGPASS") => Ok(Login::Rejected),
            Err(error) => Err(refused(document, &error)),
        }
    }

    async fn change<E: From<EngineError>>(
        &self,
        current: &Document,
        proven: impl AsyncFnOnce() -> Result<Option<Proven<()>>, E>,
        wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
    ) -> Result<Option<SystemTime>, E> {
        let Some(proven) = proven().await? else {
            return Ok(None);
        };
        let administrator = proven.administrator;
        let administrator = &administrator.ok_or(EngineError::Unable { what: "change" })?;
        let session = log_in(administrator).await;
        let mut session = session.map_err(|error| refused(administrator, &error))?;
        // there is no lock: the change follows the answer at once
        let Some(pending) = wanted().await? else {
            return Ok(None);
        };
        let mut command = cmd("ACL");
        command.arg("SETUSER").arg(current.username());
        command.arg("resetpass").arg(verifier(current));
        let change = command.arg(verifier(&pending)).exec_async(&mut session);
        let changed = change.await;
        changed.map_err(|error| refused(administrator, &error))?;
        Ok(None)
    }
}

/// Nothing stays open.
impl Disconnect for Redis {}

async fn log_in(document: &Document) -> Result<MultiplexedConnection, RedisError> {
    let scheme = if document.tls() { "rediss" } else { "redis" };
    let client = Client::open(format!("{scheme}://{}", document.server()))?;
    // the driver's own limits are below a second
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT));
    let session = client.get_multiplexed_async_connection_with_config(&limits);
    let mut session = session.await?;
    // not by the driver, which reads every answer to AUTH as a wrong password
    let (user, password) = (document.username(), document.password().expose_secret());
    let login = cmd("AUTH")
        .arg(user)
        .arg(password)
        .exec_async(&mut session)
        .await;
    login.map(|()| session)
}

/// The hash that the server keeps, so that its log never sees the password.
fn verifier(document: &Document) -> String {
    let digest = Sha256::digest(document.password().expose_secret());
    let hex = digest.iter().map(|byte| format!("{byte:02x}"));
    format!("#{}", hex.collect::<String>())
}

fn refused(document: &Document, error: &RedisError) -> EngineError {
    EngineError::Unreachable {
        server: document.server(),
        reason: error.to_string(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    // redis asks rustls for the process's provider: a build with two providers has none until one is installed
    let _ = rustls::crypto::ring::default_provider().install_default();
    Function::from_env().await?.serve(|_, _| Redis).await
}
