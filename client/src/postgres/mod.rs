//! PostgreSQL through tokio-postgres: logins that survive a rotation.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret, tls: tokio_postgres_rustls::MakeRustlsConnect) -> Result<(), Box<dyn std::error::Error>> {
//! let client = rotating_secret::postgres::connect(&secret, tls).await?;
//! let row = client.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```
//!
//! `tls` is whatever tokio-postgres takes; `tls()`, behind the feature of that name, makes one that trusts RDS's roots
//! and the public ones. The server is asked for TLS, and a connection without it is an error, unless the secret itself
//! says `"ssl": false`. A server that asks for the password in clear does not get it, with TLS or without: it is an error. Only a token
//! ([`Version::as_auth_token`](crate::provider::Version::as_auth_token)) is sent so, over TLS.

mod cleartext;
#[cfg(feature = "listen")]
mod listen;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio_postgres::{
    CancelToken, Client, Config, Connection, Socket,
    config::{SslMode, SslNegotiation},
    tls::{MakeTlsConnect, TlsConnect},
};

pub(crate) use cleartext::Guard;
pub use cleartext::Guarded;
#[cfg(feature = "listen")]
pub use listen::{NotListening, channel, listen};
#[cfg(feature = "tls")]
pub use tls::{NoTls, RDS_ROOTS, tls};

use crate::{
    Attempt, Credential, LogInError, NotALogin, RotatingSecret, causes::in_one_line,
    postgresql::Login,
};

/// A server that does not answer must not hold up who can go elsewhere.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whatever makes TLS for tokio-postgres and can be used from several tasks: all connectors that there are.
pub trait Tls:
    MakeTlsConnect<
        Socket,
        Stream: Send + Sync + 'static,
        TlsConnect: TlsConnect<Socket, Future: Send> + Send + Sync,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Tls for T where
    T: MakeTlsConnect<
            Socket,
            Stream: Send + Sync + 'static,
            TlsConnect: TlsConnect<Socket, Future: Send> + Send + Sync,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// Why there is no connection.
pub type ConnectError = LogInError<Refusal>;

/// What came of one attempt.
///
/// The text has the driver's causes, so the driver's error is in the field and not behind `source()`.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
#[non_exhaustive]
pub enum Refusal {
    /// The driver says, of a connection that there is.
    #[error("{}", in_words(.0))]
    Driver(tokio_postgres::Error),
    /// The driver says, of one that it was to make.
    #[error("{host} port {port}: {}", in_words(error))]
    NotConnected {
        host: String,
        port: u16,
        error: tokio_postgres::Error,
    },
    /// There is nothing to run the connection on.
    #[error(
        "there is no tokio runtime to run the connection on: connect inside of one, and with time and io enabled"
    )]
    NoRuntime,
    /// The secret is not one to log in with.
    #[error(transparent)]
    NotALogin(#[from] NotALogin),
    /// The base configuration has what the secret decides.
    #[error(
        "the configuration names a host, and so does the secret: leave it out of the configuration"
    )]
    HostTwice,
    /// A pool made no connection for as long as it tries.
    #[error("the pool made no connection in its time: {last}")]
    TimedOut { last: String },
    /// A pooled connection belongs to a version that was replaced.
    #[error("the connection belongs to a version of the secret that was replaced: it is closed")]
    Outdated,
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

/// The driver's own text leaves out what the server said, and what lies below it.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} (SQLSTATE {})", answer.message(), answer.code().code()),
        None => in_one_line(error),
    }
}

/// Connects with the credential in force, and goes on to what the provider has if the server rejects it.
///
/// The connection runs in a task of its own until the client is dropped.
///
/// # Errors
///
/// There is no credential, no connection, or the server rejected all versions.
pub async fn connect<T: Tls>(secret: &RotatingSecret, tls: T) -> Result<Client, ConnectError> {
    let (client, connection) = connect_with(secret, &Config::new(), tls).await?;
    let id = secret.id().to_owned();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(secret = id, %error, "a connection ended");
        }
    });
    Ok(client)
}

/// The same with settings of the caller's (`application_name`, `options`, timeouts), and with the connection for the
/// caller to run.
///
/// Host, port, user, password, database and TLS are the secret's. Without a timeout of the caller's it is 10 seconds.
///
/// # Errors
///
/// As for [`connect`], and the configuration must not name a host.
pub async fn connect_with<T: Tls>(
    secret: &RotatingSecret,
    config: &Config,
    tls: T,
) -> Result<(Client, Connection<Socket, Guarded<T::Stream>>), ConnectError> {
    let (client, connection, _) = connect_versioned(secret, config, tls).await?;
    Ok((client, connection))
}

/// Asks the server to end the query that runs on a connection made here: a token's own `cancel_query` does not know that the secret says
/// `"ssl": false`.
///
/// # Errors
///
/// There is no credential, or the server is not reached.
pub async fn cancel<T: Tls>(
    secret: &RotatingSecret,
    token: &CancelToken,
    tls: T,
) -> Result<(), ConnectError> {
    let encrypted = secret.usable().await?.tls();
    let asked = token.cancel_query(Guard::of(tls, encrypted, false)).await;
    asked.map_err(|error| LogInError::Failed(error.into()))
}

/// The same as [`connect_with`], with the version that logged in.
pub(crate) async fn connect_versioned<T: Tls>(
    secret: &RotatingSecret,
    config: &Config,
    tls: T,
) -> Result<(Client, Connection<Socket, Guarded<T::Stream>>, String), ConnectError> {
    Handle::try_current().map_err(|_| LogInError::Failed(Refusal::NoRuntime))?;
    secret
        .log_in(|credential| {
            let tls = tls.clone();
            async move {
                let config = configured(config, secret.id(), &credential);
                let version = credential.version().to_owned();
                let host = credential.host().unwrap_or_default().to_owned();
                let port = credential.port();
                let guard = Guard::of(tls, credential.tls(), credential.is_auth_token());
                // it may be long until the server answers, and a guard is for as long as it takes to read
                drop(credential);
                match config.map_err(Attempt::Failed)?.connect(guard).await {
                    Ok((client, connection)) => Ok((client, connection, version)),
                    Err(error) => {
                        let code = error.code().map(|code| code.code().to_owned());
                        let refusal = Refusal::NotConnected { host, port, error };
                        Err(Attempt::of(code.as_deref(), refusal))
                    }
                }
            }
        })
        .await
}

fn configured(config: &Config, secret: &str, credential: &Credential) -> Result<Config, Refusal> {
    if !config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty() {
        return Err(Refusal::HostTwice);
    }
    let login = Login::of(secret, credential)?;
    let mut config = config.clone();
    config
        .host(login.host)
        .port(login.port)
        .user(login.user)
        .password(login.password.expose_secret())
        .ssl_mode(SslMode::Require);
    if !login.tls {
        // the guard stands in for TLS, and nothing is negotiated
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    if let Some(database) = login.database {
        config.dbname(database);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    Ok(config)
}
