//! [bb8](https://docs.rs/bb8), as bb8-postgres has it.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret, tls: tokio_postgres_rustls::MakeRustlsConnect) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = rotating_secret::pool::bb8::pool(&secret, tls, |builder| builder.max_size(16)).await?;
//! let row = pool.get().await?.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bb8::{Builder, ErrorSink, ManageConnection, PooledConnection, RunError};
use tokio::{runtime::Handle, sync::watch};
use tokio_postgres::{Client, Config};

use crate::{
    RotatingSecret,
    postgres::{ConnectError, Refusal, Tls, connect_versioned},
    slot::Change,
};

/// A pool of the secret's connections. Cheap to clone; it derefs to bb8's own.
///
/// `configure` sets it up; leave `test_on_check_out` as it is, for that is where an older version's connection is
/// found.
///
/// # Errors
///
/// The first connections, where `min_idle` asks for some, can't be made, or this is called outside of a tokio runtime.
pub async fn pool<T: Tls>(
    secret: &RotatingSecret,
    tls: T,
    configure: impl FnOnce(Builder<Manager<T>>) -> Builder<Manager<T>>,
) -> Result<Pool<T>, ConnectError> {
    let on = Handle::try_current().map_err(|_| ConnectError::Failed(Refusal::NoRuntime))?;
    let last = LastFailure::default();
    let manager = Manager {
        secret: secret.clone(),
        tls,
        changes: secret.watch(),
        last: last.clone(),
    };
    let builder = bb8::Pool::builder().error_sink(Box::new(Log));
    let pool = Arc::new(configure(builder).build(manager).await?);
    on.spawn(let_idle_ones_go(Arc::downgrade(&pool), secret.watch()));
    Ok(Pool { pool, last })
}

/// Why the last connection was not made, unless one was made since.
///
/// bb8 tries again until the time is up, and then says no more than that. Its sink hears of the failure too late.
#[derive(Clone, Debug, Default)]
struct LastFailure(Arc<Mutex<Option<String>>>);

impl LastFailure {
    fn set(&self, failure: Option<String>) {
        *self.lock() = failure;
    }

    fn explain(&self, error: RunError<ConnectError>) -> RunError<ConnectError> {
        match (error, self.lock().clone()) {
            (RunError::TimedOut, Some(last)) => {
                RunError::User(ConnectError::Failed(Refusal::TimedOut { last }))
            }
            (error, _) => error,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What keeps a connection from being made goes to the log too: nobody may be waiting for it.
#[derive(Clone, Debug)]
struct Log;

impl ErrorSink<ConnectError> for Log {
    fn sink(&self, error: ConnectError) {
        match error {
            ConnectError::Failed(Refusal::Outdated) => {}
            error => tracing::warn!(%error, "a pool's connection was not made, or is broken"),
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<ConnectError>> {
        Box::new(self.clone())
    }
}

/// bb8's pool, whose idle connections leave when the secret changes.
#[derive(Debug)]
pub struct Pool<T: Tls> {
    pool: Arc<bb8::Pool<Manager<T>>>,
    last: LastFailure,
}

impl<T: Tls> Pool<T> {
    /// A connection, as bb8's own `get` has it; the error says why none could be made.
    ///
    /// # Errors
    ///
    /// bb8's `connection_timeout` is over. [`RunError::User`] has the reason if the last connection could not be made;
    /// [`RunError::TimedOut`] means that all are in use.
    pub async fn get(&self) -> Result<PooledConnection<'_, Manager<T>>, RunError<ConnectError>> {
        let taken = self.pool.get().await;
        taken.map_err(|error| self.last.explain(error))
    }

    /// The same, to be held for as long as the caller likes.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn get_owned(
        &self,
    ) -> Result<PooledConnection<'static, Manager<T>>, RunError<ConnectError>> {
        let taken = self.pool.get_owned().await;
        taken.map_err(|error| self.last.explain(error))
    }
}

impl<T: Tls> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            last: self.last.clone(),
        }
    }
}

impl<T: Tls> Deref for Pool<T> {
    type Target = bb8::Pool<Manager<T>>;

    fn deref(&self) -> &Self::Target {
        &self.pool
    }
}

/// Makes the connections.
pub struct Manager<T> {
    secret: RotatingSecret,
    tls: T,
    changes: watch::Receiver<Change>,
    last: LastFailure,
}

impl<T> std::fmt::Debug for Manager<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager")
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// A client, and the version that it logged in with.
#[derive(Debug)]
pub struct Versioned {
    client: Client,
    version: String,
}

impl Versioned {
    /// The id of the version that it logged in with.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Deref for Versioned {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Versioned {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl<T> Manager<T> {
    fn is_outdated(&self, connection: &Versioned) -> bool {
        *self.changes.borrow().version != *connection.version
    }
}

impl<T: Tls> ManageConnection for Manager<T> {
    type Connection = Versioned;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Versioned, ConnectError> {
        let connected = connect_versioned(&self.secret, &Config::new(), self.tls.clone()).await;
        self.last
            .set(connected.as_ref().err().map(ToString::to_string));
        let (client, connection, version) = connected?;
        // its end is the client's: an error reaches whoever waits for a statement
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Versioned { client, version })
    }

    async fn is_valid(&self, connection: &mut Versioned) -> Result<(), ConnectError> {
        if self.is_outdated(connection) {
            return Err(ConnectError::Failed(Refusal::Outdated));
        }
        let answered = connection.client.simple_query("").await;
        answered
            .map(drop)
            .map_err(|error| ConnectError::Failed(error.into()))
    }

    fn has_broken(&self, connection: &mut Versioned) -> bool {
        connection.client.is_closed() || self.is_outdated(connection)
    }
}

/// bb8 has no way to go over what is idle, but to take one has it look at each until one is valid.
async fn let_idle_ones_go<T: Tls>(
    pool: Weak<bb8::Pool<Manager<T>>>,
    mut changes: watch::Receiver<Change>,
) {
    while changes.changed().await.is_ok() {
        let Some(pool) = pool.upgrade() else { return };
        if pool.state().idle_connections > 0 {
            let _ = pool.get().await;
        }
    }
}
