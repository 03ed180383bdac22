//! [sqlx](https://docs.rs/sqlx): its `PgPool`, and around it the second attempt after a rejected login, for which sqlx has no
//! place.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret) -> Result<(), Box<dyn std::error::Error>> {
//! use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
//!
//! let options = PgConnectOptions::new_without_pgpass().application_name("shop");
//! let pool = rotating_secret::pool::sqlx::pool(&secret, options, PgPoolOptions::new().max_connections(16)).await?;
//! let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&pool).await?;
//! # Ok(()) }
//! ```

mod driver;
mod executor;

use std::{fmt, sync::Arc};

use sqlx::{
    Error, PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{runtime::Handle, time::timeout};

use self::driver::{Inner, ONCE_MORE};
use super::{Settings, following::Following};
use crate::{Credential, LogInError, RotatingSecret, postgresql::Login};

/// A pool of the secret's connections. A clone is the same pool.
///
/// sqlx takes `&Pool` wherever it takes `&PgPool` to run a query or to begin a transaction. [`inner`](Self::inner) is sqlx's
/// own pool, for everything else: its queries do not survive a rejected login.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Following<Inner>>);

/// A pool of the secret's connections.
///
/// `connect` has what the secret does not have: the application's name, the roots for TLS, timeouts. TLS is verify-full
/// regardless of `connect`, unless the secret itself says `"ssl": false`. Each version's pool gets `options`; their callbacks
/// are the caller's own.
///
/// # Errors
///
/// There is no credential now, or it is not a login, or the caller is outside of a tokio runtime. It makes no connection yet.
pub async fn pool(
    secret: &RotatingSecret,
    connect: PgConnectOptions,
    options: PgPoolOptions,
) -> Result<Pool, Error> {
    pool_with(secret, connect, options, Settings::default()).await
}

/// The same, with settings for the move to the next version.
///
/// # Errors
///
/// As for [`pool`].
pub async fn pool_with(
    secret: &RotatingSecret,
    connect: PgConnectOptions,
    options: PgPoolOptions,
    settings: Settings,
) -> Result<Pool, Error> {
    let on = Handle::try_current().map_err(|_| {
        configuration("there is no tokio runtime to keep the pool on: make it inside of one")
    })?;
    let credential = secret.usable().await.map_err(configuration)?;
    let of = secret.shared.clone();
    let make = move |credential: &Credential| {
        let connect = configured(connect.clone(), credential)?;
        let (mut options, version) = (options.clone(), credential.version_id().clone());
        if of.rejections.is_doubted(&version) {
            // one login at a time tries it, but sqlx would log in for these by itself
            options = options.min_connections(0);
        }
        let asks = options.get_test_before_acquire();
        Ok(Inner {
            pool: options
                .test_before_acquire(false)
                .connect_lazy_with(connect),
            secret: of.clone(),
            version,
            read_write: settings.read_write,
            asks,
        })
    };
    let following = Following::new(secret, &credential, settings, on, make)?;
    Ok(Pool(Arc::new(following)))
}

impl Pool {
    /// sqlx's pool of the current version: another one after each change.
    pub fn inner(&self) -> PgPool {
        self.0.serving().pool.pool.clone()
    }

    /// A connection of the current version, or of another one that the provider has if the server rejects that.
    ///
    /// # Errors
    ///
    /// Those of sqlx; without a credential it is [`Error::Configuration`]. After `acquire_timeout`, and two more seconds to
    /// find the reason, it is [`Error::PoolTimedOut`].
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        let limit = self.inner().options().get_acquire_timeout();
        let taken = timeout(limit.saturating_add(ONCE_MORE), self.0.get()).await;
        taken
            .map_err(|_| Error::PoolTimedOut)?
            .map_err(|error| match error {
                LogInError::Secret(error) => configuration(error),
                LogInError::Failed(answer) | LogInError::Rejected { answer, .. } => answer,
            })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire).
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        Transaction::begin(self.acquire().await?, None).await
    }

    /// How many connections the serving pool has.
    pub fn size(&self) -> u32 {
        self.inner().size()
    }

    /// How many of them are idle.
    pub fn num_idle(&self) -> usize {
        self.inner().num_idle()
    }

    /// Closes idle connections, and waits for those of the serving pool that are in use. The pool returns no connection any
    /// more.
    pub async fn close(&self) {
        self.0.close();
        self.inner().close().await;
    }
}

fn configured(
    connect: PgConnectOptions,
    credential: &Credential,
) -> Result<PgConnectOptions, Error> {
    let login = Login::of(credential).map_err(configuration)?;
    Ok(login.with_sqlx(connect))
}

fn configuration(error: impl fmt::Display) -> Error {
    Error::Configuration(error.to_string().into())
}
