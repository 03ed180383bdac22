//! [deadpool-postgres](https://docs.rs/deadpool-postgres): its own `Pool`, made here.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret, tls: tokio_postgres_rustls::MakeRustlsConnect) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = rotating_secret::pool::deadpool::pool(&secret, tls, |builder| builder.max_size(16))?;
//! let row = pool.get().await?.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use deadpool_postgres::{
    BuildError, Connect, Hook, HookError, Manager, ManagerConfig, Pool, PoolBuilder, Runtime,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::sleep,
};
use tokio_postgres::{Client, Config, Error, NoTls};

use super::age::SETTLED;
use crate::{
    LogInError, RotatingSecret,
    postgres::{ConnectError, Refusal, Tls, connect_versioned},
    slot::Change,
};

/// A pool of the secret's connections, set up by `configure`.
///
/// What keeps a connection from being made, and is not the driver's, is the source of the driver's error.
///
/// # Errors
///
/// `configure` asks for something impossible, or this is called outside of a tokio runtime.
pub fn pool<T: Tls>(
    secret: &RotatingSecret,
    tls: T,
    configure: impl FnOnce(PoolBuilder) -> PoolBuilder,
) -> Result<Pool, BuildError> {
    let on = Handle::try_current().map_err(|_| BuildError::NoRuntimeSpecified)?;
    let alive = Alive::default();
    let connector = Connector {
        secret: secret.clone(),
        tls,
        alive: alive.clone(),
    };
    let manager = Manager::from_connect(Config::new(), connector, ManagerConfig::default());
    let changes = secret.watch();
    let version_is_in_force = Hook::sync_fn(move |_, metrics| {
        if changes.borrow().outdates(metrics.age()) {
            return Err(HookError::message(Refusal::Outdated.to_string()));
        }
        Ok(())
    });
    let builder = Pool::builder(manager)
        .runtime(Runtime::Tokio1)
        .pre_recycle(version_is_in_force);
    let pool = configure(builder).build()?;
    on.spawn(let_old_ones_go(pool.weak(), alive, secret.watch()));
    Ok(pool)
}

struct Connector<T> {
    secret: RotatingSecret,
    tls: T,
    alive: Alive,
}

impl<T: Tls> Connect for Connector<T> {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection, version) = loop {
                let changes = self.secret.watch();
                match connect_versioned(&self.secret, &config, self.tls.clone()).await {
                    // deadpool would take it for the new version's
                    Ok((.., version))
                        if matches!(changes.has_changed(), Ok(true))
                            && version != *changes.borrow().version => {}
                    Ok(connected) => break connected,
                    Err(error) => {
                        // deadpool's text leaves out the cause; its chain has it
                        tracing::warn!(%error, "a pool's connection was not made");
                        return Err(as_drivers(error).await);
                    }
                }
            };
            let lives = self.alive.begin(version);
            let task = tokio::spawn(async move {
                let _lives = lives;
                let _ = connection.await;
            });
            Ok((client, task))
        })
    }
}

/// deadpool looks at a connection when it is taken, not when it comes back. So after a change what is idle is gone over
/// until no connection of an older version lives.
async fn let_old_ones_go(
    pool: deadpool_postgres::WeakPool,
    alive: Alive,
    mut changes: watch::Receiver<Change>,
) {
    while changes.changed().await.is_ok() {
        loop {
            let change = changes.borrow_and_update().clone();
            let Some(pool) = pool.upgrade() else { return };
            pool.retain(|_, metrics| !change.outdates(metrics.age()));
            drop(pool);
            if !alive.other_than(&change.version) {
                break;
            }
            sleep(SETTLED).await;
        }
    }
}

/// How many connections each version has.
#[derive(Clone, Default)]
struct Alive(Arc<Mutex<HashMap<String, usize>>>);

impl Alive {
    fn begin(&self, version: String) -> Life {
        *self.lock().entry(version.clone()).or_default() += 1;
        Life {
            alive: self.clone(),
            version,
        }
    }

    fn other_than(&self, version: &str) -> bool {
        self.lock().keys().any(|alive| alive != version)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's.
struct Life {
    alive: Alive,
    version: String,
}

impl Drop for Life {
    fn drop(&mut self) {
        let mut alive = self.alive.lock();
        if let Some(count) = alive.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                alive.remove(&self.version);
            }
        }
    }
}

/// deadpool's error is the driver's, which nobody else can make. So the driver is given a stream that fails with ours: it
/// has the host and the port, and all causes in its text.
///
/// What the server answered stays the driver's own, for its code: but not where it rejected every version, which is told
/// with what to do.
async fn as_drivers(error: ConnectError) -> Error {
    match error {
        LogInError::Failed(Refusal::NotConnected { error, .. })
            if error.as_db_error().is_some() =>
        {
            error
        }
        other => {
            let mut config = Config::new();
            config.user("nobody");
            // the text, and not the error: the driver's chain would tell a cause twice
            let mut stream = Failing(Some(io::Error::other(other.to_string())));
            loop {
                // it can do nothing but fail
                if let Err(error) = config.connect_raw(&mut stream, NoTls).await {
                    return error;
                }
            }
        }
    }
}

struct Failing(Option<io::Error>);

impl Failing {
    fn fail<R>(&mut self) -> Poll<io::Result<R>> {
        Poll::Ready(Err(self
            .0
            .take()
            .unwrap_or_else(|| io::ErrorKind::NotConnected.into())))
    }
}

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.fail()
    }
}

impl AsyncWrite for Failing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.fail()
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }
}
