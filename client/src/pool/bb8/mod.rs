//! [bb8](https://docs.rs/bb8): its connections, from the pool of the current version.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret, tls: tokio_postgres_rustls::MakeRustlsConnect) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = rotating_secret::pool::bb8::pool(&secret, tls, |builder| builder.max_size(16)).await?;
//! let row = pool.get().await?.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```

mod driver;
mod manager;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use bb8::{Builder, PooledConnection, RunError};
use tokio::{runtime::Handle, sync::watch};
use tokio_postgres::Config;

use self::{
    driver::{Inner, explained, failed},
    manager::{Log, Shared},
};
use super::{
    Settings,
    following::{Driver, Following},
};
use crate::{
    Credential, LogInError, RotatingSecret,
    postgres::{ConnectError, Refusal, Tls, configured, needs_writes},
};

pub use self::manager::Manager;

/// A pool of the secret's connections. A clone is the same pool.
pub struct Pool<T: Tls>(Arc<Following<Inner<T>>>);

/// A pool of the secret's connections; `configure` sets up each version's.
///
/// # Errors
///
/// There is no credential, it is not a login, or the caller is outside of a tokio runtime. It does not wait for a connection.
pub async fn pool<T: Tls>(
    secret: &RotatingSecret,
    tls: T,
    configure: impl Fn(Builder<Manager<T>>) -> Builder<Manager<T>> + Send + Sync + 'static,
) -> Result<Pool<T>, ConnectError> {
    pool_with(secret, Config::new(), tls, Settings::default(), configure).await
}

/// The same with the caller's own settings: `config` for what the secret does not have (`application_name`, `options`,
/// keepalives, `target_session_attrs`).
///
/// # Errors
///
/// As for [`pool`], and the configuration must not name a host.
pub async fn pool_with<T: Tls>(
    secret: &RotatingSecret,
    mut config: Config,
    tls: T,
    settings: Settings,
    configure: impl Fn(Builder<Manager<T>>) -> Builder<Manager<T>> + Send + Sync + 'static,
) -> Result<Pool<T>, ConnectError> {
    let on = Handle::try_current().map_err(|_| LogInError::Failed(Refusal::NoRuntime))?;
    let credential = secret.usable().await?;
    let (of, read_write) = (secret.shared.clone(), needs_writes(&mut config, settings));
    let make = move |credential: &Credential| {
        let (config, tls) = configured(&config, credential, tls.clone()).map_err(failed)?;
        let shared = Arc::new(Shared {
            secret: of.clone(),
            version: credential.version_id().clone(),
            failure: watch::Sender::new(None),
            is_leaving: AtomicBool::default(),
            is_closed: AtomicBool::default(),
        });
        let manager = Manager {
            config,
            tls,
            read_write,
            shared: shared.clone(),
        };
        let builder = bb8::Pool::builder().error_sink(Box::new(Log));
        let pool = configure(builder).build_unchecked(manager);
        Ok(Inner { pool, shared })
    };
    let following = Following::new(secret, &credential, settings, on, make);
    Ok(Pool(Arc::new(following.map_err(explained)?)))
}

impl<T: Tls> Pool<T> {
    /// A connection, as from bb8's own `get_owned`; the error says why none could be made.
    ///
    /// # Errors
    ///
    /// [`RunError::User`]: the server rejected all versions, there is no credential, or the last connection could not be made
    /// within bb8's `connection_timeout`. [`RunError::TimedOut`]: all were in use for that long.
    pub async fn get(
        &self,
    ) -> Result<PooledConnection<'static, Manager<T>>, RunError<ConnectError>> {
        self.0.get().await.map_err(|error| match error {
            LogInError::Failed(RunError::TimedOut) => RunError::TimedOut,
            error => RunError::User(match error {
                LogInError::Secret(error) => error.into(),
                LogInError::Failed(answer) => explained(answer),
                LogInError::Rejected { why, answer } => match explained(answer) {
                    LogInError::Failed(answer) => LogInError::Rejected { why, answer },
                    error => error,
                },
            }),
        })
    }

    /// bb8's pool of the current version: another one after each change.
    pub fn inner(&self) -> bb8::Pool<Manager<T>> {
        self.0.serving().pool.pool.clone()
    }

    /// How many connections the serving pool has.
    pub fn size(&self) -> usize {
        self.0.serving().pool.holds().all
    }

    /// How many of them are idle.
    pub fn num_idle(&self) -> usize {
        self.0.serving().pool.holds().idle
    }

    /// Closes idle connections, and those in use when they come back. The pool returns no connection any more.
    pub fn close(&self) {
        self.0.close();
    }
}

impl<T: Tls> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Tls> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
