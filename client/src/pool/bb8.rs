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
    sync::{Arc, Weak},
};

use bb8::{Builder, ErrorSink, ManageConnection};
use tokio::sync::watch;
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
/// The first connections, where `min_idle` asks for some, can't be made.
pub async fn pool<T: Tls>(
    secret: &RotatingSecret,
    tls: T,
    configure: impl FnOnce(Builder<Manager<T>>) -> Builder<Manager<T>>,
) -> Result<Pool<T>, ConnectError> {
    let manager = Manager {
        secret: secret.clone(),
        tls,
        changes: secret.watch(),
    };
    let builder = bb8::Pool::builder().error_sink(Box::new(Log));
    let pool = Arc::new(configure(builder).build(manager).await?);
    tokio::spawn(let_idle_ones_go(Arc::downgrade(&pool), secret.watch()));
    Ok(Pool(pool))
}

/// Whoever waits for a connection is only told that it took too long; so what kept it from being made goes to the log.
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
pub struct Pool<T: Tls>(Arc<bb8::Pool<Manager<T>>>);

impl<T: Tls> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Tls> Deref for Pool<T> {
    type Target = bb8::Pool<Manager<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Makes the connections.
pub struct Manager<T> {
    secret: RotatingSecret,
    tls: T,
    changes: watch::Receiver<Change>,
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
        let (client, connection, version) =
            connect_versioned(&self.secret, &Config::new(), self.tls.clone()).await?;
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
