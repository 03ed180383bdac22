//! [deadpool-postgres](https://docs.rs/deadpool-postgres): its connections, from the pool of the current version.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret, tls: tokio_postgres_rustls::MakeRustlsConnect) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = rotating_secret::pool::deadpool::pool(&secret, tls, |builder| builder.max_size(16))?;
//! let row = pool.get().await?.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, Object, PoolBuilder,
    PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_postgres::{Client, Config};

use super::{
    ANSWERS_WITHIN, Settings,
    following::{Driver, Following, Holds},
    with_current_token,
};
use crate::{
    Credential, LogInError, RotatingSecret,
    postgres::{Guard, Refusal, Tls, configured, longest_login, needs_writes, place, takes_writes},
    slot::Shared,
};

/// Why there is no pool, or no connection.
pub type Error = LogInError<Failure>;

/// An error of one version's pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A connection was not made.
    #[error(transparent)]
    NotConnected(Box<Refusal>),
    /// deadpool's own error: a time limit, a hook, a closed pool.
    #[error(transparent)]
    Pool(PoolError),
    /// `configure` asks for something impossible.
    #[error(transparent)]
    Build(#[from] deadpool_postgres::BuildError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::NotConnected(refusal.into())
    }
}

/// A pool of the secret's connections. A clone is the same pool.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Following<Inner>>);

/// A pool of the secret's connections; `configure` sets up each version's.
///
/// An idle connection is checked before it is returned ([`RecyclingMethod::Verified`]): after a freeze a process holds sessions
/// that the server has ended.
///
/// # Errors
///
/// There is no credential now, or it is not a login; `configure` asks for something impossible; or the caller is outside of a
/// tokio runtime. It makes no connection yet.
pub fn pool<T: Tls>(
    secret: &RotatingSecret,
    tls: T,
    configure: impl Fn(PoolBuilder) -> PoolBuilder + Send + Sync + 'static,
) -> Result<Pool, Error> {
    let verified = ManagerConfig {
        recycling_method: RecyclingMethod::Verified,
    };
    let settings = Settings::default();
    pool_with(secret, Config::new(), tls, verified, settings, configure)
}

/// The same with the caller's own settings: `config` for what the secret does not have (`application_name`, `options`,
/// keepalives, `target_session_attrs`), and how connections are recycled.
///
/// # Errors
///
/// As for [`pool`], and the configuration must not name a host.
pub fn pool_with<T: Tls>(
    secret: &RotatingSecret,
    mut config: Config,
    tls: T,
    manager: ManagerConfig,
    settings: Settings,
    configure: impl Fn(PoolBuilder) -> PoolBuilder + Send + Sync + 'static,
) -> Result<Pool, Error> {
    let no_runtime = |_| LogInError::Failed(Refusal::NoRuntime.into());
    let on = Handle::try_current().map_err(no_runtime)?;
    let credential = secret.current()?;
    let (of, read_write) = (secret.shared.clone(), needs_writes(&mut config, settings));
    let make = move |credential: &Credential| {
        let (config, tls) = configured(&config, credential, tls.clone())?;
        let ((host, port), longest_login) = (place(&config), longest_login(&config));
        let logins = Logins {
            secret: of.clone(),
            version: credential.version_id().clone(),
            tls,
        };
        let manager = Manager::from_connect(config, logins, manager.clone());
        let mut builder = deadpool_postgres::Pool::builder(manager).runtime(Runtime::Tokio1);
        if read_write {
            builder = builder.pre_recycle(Hook::async_fn(|client, _| {
                Box::pin(async {
                    let answer = takes_writes(client).await;
                    answer.map_err(|refusal| HookError::message(refusal.to_string()))
                })
            }));
        }
        let pool = configure(builder).build()?;
        Ok(Inner {
            room: pool.status().max_size,
            pool,
            host,
            port,
            longest_login,
            logs_in: Arc::new(AtomicBool::new(true)),
        })
    };
    let following = Following::new(secret, &credential, settings, on, make);
    Ok(Pool(Arc::new(following.map_err(LogInError::Failed)?)))
}

impl Pool {
    /// A connection, as from deadpool's own `get`. Unless you set a limit for `create`, a login fails after three times
    /// `connect_timeout`; unless you set one for `recycle`, an idle connection that does not answer is given up after five
    /// seconds.
    ///
    /// # Errors
    ///
    /// There is no credential, no connection, or none within deadpool's time limits; or the server rejected all versions.
    pub async fn get(&self) -> Result<Object, Error> {
        self.0.get().await
    }

    /// deadpool's pool of the current version: another one after each change. A size that you set with `resize` stays.
    pub fn inner(&self) -> deadpool_postgres::Pool {
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

/// Makes the connections of one version.
struct Logins<T> {
    secret: Arc<Shared>,
    version: Arc<str>,
    tls: Guard<T>,
}

impl<T: Tls> Connect for Logins<T> {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = with_current_token(config, &self.secret, &self.version);
        let tls = self.tls.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(tls).await?;
            // the client reports its end: a waiting statement gets the error
            let driven = tokio::spawn(async move {
                let _ = connection.await;
            });
            Ok((client, driven))
        })
    }
}

#[derive(Clone)]
struct Inner {
    pool: deadpool_postgres::Pool,
    /// How many connections it was made for.
    room: usize,
    host: String,
    port: u16,
    longest_login: Duration,
    logs_in: Arc<AtomicBool>,
}

impl Driver for Inner {
    type Connection = Object;
    type Idle = ClientWrapper;
    type Error = Failure;

    async fn get(&self) -> Result<Object, Failure> {
        let (limits, within) = (self.pool.timeouts(), self.longest_login);
        let limited = Timeouts {
            create: match self.logs_in.load(SeqCst) {
                true => limits.create.or(Some(within)),
                false => Some(Duration::ZERO),
            },
            recycle: limits.recycle.or(Some(ANSWERS_WITHIN)),
            ..limits
        };
        self.pool.timeout_get(&limited).await.map_err(|error| {
            let (host, port) = (self.host.clone(), self.port);
            match error {
                PoolError::Backend(error) => Refusal::NotConnected { host, port, error }.into(),
                PoolError::Timeout(TimeoutType::Create) if limits.create.is_none() => {
                    Refusal::NoAnswer { host, port, within }.into()
                }
                error => Failure::Pool(error),
            }
        })
    }

    fn holds(&self) -> Holds {
        let status = self.pool.status();
        Holds {
            all: status.size,
            idle: status.available,
            at_most: status.max_size,
        }
    }

    async fn let_one_go(&self) -> bool {
        let mut kept = 0;
        let all_but_one = |_: &_, _| {
            kept += 1;
            kept > 1
        };
        !self.pool.retain(all_but_one).removed.is_empty()
    }

    fn stop_logins(&self, next: &Self) {
        self.logs_in.store(false, SeqCst);
        let room = self.pool.status().max_size;
        // the user has set it since; a pool that is closed has none
        if room != self.room && !self.pool.is_closed() {
            next.pool.resize(room);
        }
    }

    fn close(&self) -> Vec<ClientWrapper> {
        let idle = self.pool.retain(|_, _| false).removed;
        self.pool.close();
        idle
    }

    fn sqlstate(error: &Failure) -> Option<String> {
        match error {
            Failure::NotConnected(refusal) => refusal.sqlstate().map(str::to_owned),
            _ => None,
        }
    }
}
