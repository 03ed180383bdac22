//! PostgreSQL through tokio-postgres: logins that survive a rotation.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret, tls: tokio_postgres_rustls::MakeRustlsConnect) -> Result<(), Box<dyn std::error::Error>> {
//! let client = rotating_secret::postgres::connect(&secret, tls).await?;
//! let row = client.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```
//!
//! `tls` is anything that tokio-postgres accepts; `tls()`, behind the feature of that name, makes one that trusts RDS's roots
//! and the public ones, and `TlsBuilder` one with your own roots, client certificate or crypto provider. A connection without
//! TLS is an error, unless the secret itself says `"ssl": false`. A server that asks for the password in clear text does not
//! get it, with TLS or without: it is an error. Only a token
//! ([`Version::as_auth_token`](crate::provider::Version::as_auth_token)) is sent in clear text, over TLS.

#[cfg(feature = "tls")]
mod chain;
mod cleartext;
#[cfg(feature = "listen")]
mod listen;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{
    CancelToken, Client, Config, Connection, Socket,
    config::{Host, SslMode, SslNegotiation},
    tls::{MakeTlsConnect, TlsConnect},
};
#[cfg(any(feature = "deadpool", feature = "bb8"))]
use tokio_postgres::{SimpleQueryMessage, config::TargetSessionAttrs};

pub(crate) use cleartext::Guard;
pub use cleartext::Guarded;
#[cfg(feature = "listen")]
pub use listen::{NotListening, channel, listen};
#[cfg(feature = "tls")]
pub use tls::{RDS_ROOTS, TlsBuilder, TlsError, tls};

use crate::{
    Attempt, Credential, CredentialGuard, LogInError, NotALogin, RotatingSecret,
    causes::in_one_line, postgresql::Login,
};

/// A server that does not answer must not delay a caller that can go elsewhere.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes TLS for tokio-postgres and can be used from several tasks: all existing connectors.
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

/// Why one attempt failed.
///
/// The text has the driver's causes, so the driver's error is in the field and not in `source()`.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
#[non_exhaustive]
pub enum Refusal {
    /// The driver's error on an open connection.
    #[error("{}", in_words(.0))]
    Driver(tokio_postgres::Error),
    /// The driver's error for a connection that it could not make.
    #[error("{host} port {port}: {}", in_words(error))]
    NotConnected {
        host: String,
        port: u16,
        error: tokio_postgres::Error,
    },
    /// The server accepted the connection, but the login did not finish.
    #[error("{host} port {port}: the server did not finish the login within {within:?}")]
    NoAnswer {
        host: String,
        port: u16,
        within: Duration,
    },
    /// There is no runtime for the connection.
    #[error(
        "there is no tokio runtime to run the connection on: connect inside of one, and with time and io enabled"
    )]
    NoRuntime,
    /// The secret is not a login.
    #[error(transparent)]
    NotALogin(#[from] NotALogin),
    /// The base configuration sets what the secret decides.
    #[error(
        "the configuration names a host, and so does the secret: leave it out of the configuration"
    )]
    HostTwice,
    /// A pool made no connection within its time.
    #[error("the pool made no connection in its time: {last}")]
    TimedOut { last: String },
    /// The server's answer to a login of the pool, for all who waited for it.
    #[error("{answer}")]
    Answered { answer: String, sqlstate: String },
    /// The server takes no writes, but they are required.
    #[error("the server takes no writes: it is a standby, or default_transaction_read_only is on")]
    ReadOnly,
    /// The pool makes no connection now.
    #[error("{0}")]
    NotNow(&'static str),
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl Refusal {
    /// The server's answer.
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Driver(error) | Self::NotConnected { error, .. } => {
                error.code().map(|code| code.code())
            }
            Self::Answered { sqlstate, .. } => Some(sqlstate),
            _ => None,
        }
    }
}

/// The driver's own text leaves out the server's message, and the causes.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} (SQLSTATE {})", answer.message(), answer.code().code()),
        None => in_one_line(error),
    }
}

/// Connects with the current credential, and if the server rejects it, with what the provider has.
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

/// The same with the caller's own settings (`application_name`, `options`, timeouts); the caller runs the connection.
///
/// Host, port, user, password, database and TLS are the secret's. `connect_timeout` is 10 seconds unless the caller sets it. It
/// limits the attempt at each address of the host; the whole login fails after three times as long.
///
/// # Errors
///
/// As for [`connect`], and the configuration must not name a host.
pub async fn connect_with<T: Tls>(
    secret: &RotatingSecret,
    config: &Config,
    tls: T,
) -> Result<(Client, Connection<Socket, Guarded<T::Stream>>), ConnectError> {
    Handle::try_current().map_err(|_| LogInError::Failed(Refusal::NoRuntime))?;
    secret
        .log_in(|credential| {
            let tls = tls.clone();
            async move {
                let connected = connect_as(config, credential, tls).await;
                connected.map_err(|refused| {
                    let code = refused.sqlstate().map(str::to_owned);
                    Attempt::of(code.as_deref(), refused)
                })
            }
        })
        .await
}

/// One attempt with this credential.
async fn connect_as<T: Tls>(
    config: &Config,
    credential: CredentialGuard,
    tls: T,
) -> Result<(Client, Connection<Socket, Guarded<T::Stream>>), Refusal> {
    let configured = configured(config, &credential, tls);
    // the server may take long to answer, and a guard is only for the time of a read
    drop(credential);
    let (config, tls) = configured?;
    connect_once(&config, tls).await
}

/// Asks the server to end the query that runs on a connection made here. A token's own `cancel_query` does not know that the
/// secret says `"ssl": false`.
///
/// # Errors
///
/// There is no credential, or the server cannot be reached.
pub async fn cancel<T: Tls>(
    secret: &RotatingSecret,
    token: &CancelToken,
    tls: T,
) -> Result<(), ConnectError> {
    let encrypted = secret.usable().await?.tls();
    let asked = token.cancel_query(Guard::of(tls, encrypted, false)).await;
    asked.map_err(|error| LogInError::Failed(error.into()))
}

/// The driver's limit ends with the TCP connection, and begins again for each address of a host: a login that takes three times
/// as long hangs.
pub(crate) fn longest_login(config: &Config) -> Duration {
    let of_an_address = config.get_connect_timeout().unwrap_or(&CONNECT_TIMEOUT);
    of_an_address.saturating_mul(3)
}

/// One attempt, with the host and the port in its error.
pub(crate) async fn connect_once<T: Tls>(
    config: &Config,
    tls: T,
) -> Result<(Client, Connection<Socket, T::Stream>), Refusal> {
    let within = longest_login(config);
    let connected = timeout(within, config.connect(tls)).await;
    let (host, port) = place(config);
    match connected {
        Ok(answer) => answer.map_err(|error| Refusal::NotConnected { host, port, error }),
        Err(_) => Err(Refusal::NoAnswer { host, port, within }),
    }
}

/// Whether the server must take writes: the driver asks it at a login, and the pool later.
#[cfg(any(feature = "deadpool", feature = "bb8"))]
pub(crate) fn needs_writes(config: &mut Config, settings: crate::pool::Settings) -> bool {
    if settings.read_write {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite
}

/// Asks the server whether it takes writes.
#[cfg(any(feature = "deadpool", feature = "bb8"))]
pub(crate) async fn takes_writes(client: &Client) -> Result<(), Refusal> {
    let answer = client.simple_query("SHOW transaction_read_only").await?;
    for message in &answer {
        if let SimpleQueryMessage::Row(row) = message
            && row.try_get(0)? == Some("on")
        {
            return Err(Refusal::ReadOnly);
        }
    }
    Ok(())
}

/// The one host and port of a configuration that [`configured`] made.
pub(crate) fn place(config: &Config) -> (String, u16) {
    let host = match config.get_hosts() {
        [Host::Tcp(host), ..] => host.clone(),
        others => format!("{others:?}"),
    };
    let port = config.get_ports().first();
    (host, port.copied().unwrap_or_default())
}

/// The caller's settings with the secret's.
pub(crate) fn configured<T>(
    config: &Config,
    credential: &Credential,
    tls: T,
) -> Result<(Config, Guard<T>), Refusal> {
    if !config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty() {
        return Err(Refusal::HostTwice);
    }
    let login = Login::of(credential)?;
    let guard = Guard::of(tls, credential.tls(), credential.is_auth_token());
    let mut config = login.with_tokio_postgres(config.clone());
    if !credential.tls() {
        // the guard replaces TLS, and nothing is negotiated
        config.ssl_mode(SslMode::Require);
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    Ok((config, guard))
}
