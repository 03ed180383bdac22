//! [sqlx](https://docs.rs/sqlx): its `PgPool`, and around it what sqlx has no place for, the second attempt after a
//! rejected login.
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

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_stream::try_stream;
use futures_util::{TryStreamExt, future::BoxFuture, stream::BoxStream};
use secrecy::ExposeSecret;
use sqlx::{
    Acquire, Connection, Describe, Either, Error, Execute, Executor, PgPool, Postgres, SqlStr,
    Transaction,
    pool::PoolConnection,
    postgres::{
        PgConnectOptions, PgConnection, PgPoolOptions, PgQueryResult, PgRow, PgSslMode,
        PgStatement, PgTypeInfo,
    },
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{sleep, timeout},
};

use super::age::SETTLED;
use crate::{
    Attempt, Credential, CredentialGuard, LogInError, RotatingSecret, causes::in_one_line,
    log_in::Session, postgresql::Login, slot::Change,
};

/// For as long it is waited to learn why there was no connection.
const ONCE_MORE: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// Whether the connection that is being acquired was idle: it says nothing of logins.
    static WAS_IDLE: AtomicBool;
}

/// A pool of the secret's connections.
///
/// `&Pool` is taken wherever sqlx takes `&PgPool` to run a query or to begin a transaction. [`inner`](Self::inner) is
/// sqlx's own, for everything but that: its queries do not survive a rejected login.
#[derive(Clone)]
pub struct Pool(Arc<Following>);

struct Following {
    pool: PgPool,
    secret: RotatingSecret,
    /// The version that sqlx was last given to connect with.
    given: Mutex<Arc<str>>,
}

/// A pool of the secret's connections.
///
/// `connect` has what the secret has not: the application's name, the roots for TLS, timeouts. TLS is verify-full
/// whatever it says, unless the secret itself says `"ssl": false`. `options` keeps its own callbacks but
/// `before_acquire` and `after_release`, which are this pool's.
///
/// # Errors
///
/// There is no credential now, or it is not one to log in with, or this is called outside of a tokio runtime. No
/// connection is made yet.
pub async fn pool(
    secret: &RotatingSecret,
    connect: PgConnectOptions,
    options: PgPoolOptions,
) -> Result<Pool, Error> {
    let on = Handle::try_current().map_err(|_| {
        Error::Configuration(
            "there is no tokio runtime to keep the pool on: make it inside of one".into(),
        )
    })?;
    let (taken, given_back) = (secret.watch(), secret.watch());
    let options = options
        .before_acquire(move |_, of| {
            let keep = !taken.borrow().outdates(of.age);
            if keep {
                // outside of an acquire of ours nobody asks
                let _ = WAS_IDLE.try_with(|was_idle| was_idle.store(true, Ordering::Relaxed));
            }
            Box::pin(async move { Ok(keep) })
        })
        .after_release(move |_, of| {
            let keep = !given_back.borrow().outdates(of.age);
            Box::pin(async move { Ok(keep) })
        });
    let credential = secret.usable().await.map_err(configuration)?;
    let pool = Arc::new(Following {
        pool: options.connect_lazy_with(configured(connect, secret, &credential)?),
        given: Mutex::new(credential.version_id().clone()),
        secret: secret.clone(),
    });
    on.spawn(follow(Arc::downgrade(&pool), secret.watch()));
    Ok(Pool(pool))
}

impl Pool {
    /// sqlx's own pool.
    pub fn inner(&self) -> &PgPool {
        &self.0.pool
    }

    /// A connection of the version in force, or of what the provider has if the server rejects that.
    ///
    /// # Errors
    ///
    /// As sqlx has it; without a credential it is [`Error::Configuration`].
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        let attempt = async |credential: CredentialGuard| {
            self.0.give(&credential).map_err(Attempt::Failed)?;
            drop(credential);
            let take = async {
                let connection = self.0.take().await?;
                let was_idle = WAS_IDLE.with(|was_idle| was_idle.load(Ordering::Relaxed));
                Ok(match was_idle {
                    true => Session::Reused(connection),
                    false => Session::New(connection),
                })
            };
            let taken = match WAS_IDLE.scope(AtomicBool::new(false), take).await {
                Err(error) => Err(self.0.explained(error).await),
                taken => taken,
            };
            taken.map_err(|error| {
                let code = error.as_database_error().and_then(|answer| answer.code());
                let code = code.map(|code| code.into_owned());
                Attempt::of(code.as_deref(), error)
            })
        };
        self.0
            .secret
            .log_in_or_reuse(attempt)
            .await
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
}

impl Following {
    /// A connection that was not being made while the secret changed: sqlx would take that one for the new version's.
    async fn take(&self) -> Result<PoolConnection<Postgres>, Error> {
        loop {
            let changes = self.secret.watch();
            WAS_IDLE.with(|was_idle| was_idle.store(false, Ordering::Relaxed));
            let mut connection = self.pool.acquire().await?;
            if !matches!(changes.has_changed(), Ok(true)) {
                return Ok(connection);
            }
            connection.close_on_drop();
        }
    }

    /// With the cause, the host and the port. sqlx tries again until the time is up where a connection is refused, and then
    /// says no more than that: so it is tried once more.
    async fn explained(&self, error: Error) -> Error {
        let options = self.pool.connect_options();
        let is_full = self.pool.size() >= self.pool.options().get_max_connections();
        let error = match error {
            Error::PoolTimedOut if !is_full => {
                let connecting = PgConnection::connect_with(&options);
                match timeout(ONCE_MORE, connecting).await {
                    Ok(Err(cause)) => cause,
                    // it closes when it is dropped
                    Ok(Ok(_)) | Err(_) => error,
                }
            }
            error => error,
        };
        let (host, port) = (options.get_host(), options.get_port());
        match error {
            Error::Io(cause) => {
                let text = format!("{host} port {port}: {cause}");
                Error::Io(io::Error::new(cause.kind(), text))
            }
            Error::Tls(cause) => {
                Error::Tls(format!("{host} port {port}: {}", in_one_line(&*cause)).into())
            }
            error => error,
        }
    }

    /// Has sqlx connect with this credential from now on.
    fn give(&self, credential: &Credential) -> Result<(), Error> {
        let mut given = self.given();
        // the next token of the same login is no new version
        if *given != *credential.version_id() || credential.is_auth_token() {
            let options = PgConnectOptions::clone(&self.pool.connect_options());
            self.pool
                .set_connect_options(configured(options, &self.secret, credential)?);
            *given = credential.version_id().clone();
        }
        Ok(())
    }

    fn given(&self) -> MutexGuard<'_, Arc<str>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What sqlx's own pool does, with this one's `acquire`.
impl<'p> Executor<'p> for &Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(try_stream! {
            let mut connection = pool.acquire().await?;
            let mut steps = (&mut *connection).fetch_many(query);
            while let Some(step) = steps.try_next().await? {
                yield step;
            }
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move { (&mut *pool.acquire().await?).fetch_optional(query).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move {
            (&mut *pool.acquire().await?)
                .prepare_with(sql, parameters)
                .await
        })
    }

    // sqlx requires it in a build that has its feature `macros`, as its default features have
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { (&mut *pool.acquire().await?).describe(sql).await })
    }
}

impl<'a> Acquire<'a> for &Pool {
    type Database = Postgres;
    type Connection = PoolConnection<Postgres>;

    fn acquire(self) -> BoxFuture<'a, Result<Self::Connection, Error>> {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await })
    }

    fn begin(self) -> BoxFuture<'a, Result<Transaction<'a, Postgres>, Error>> {
        let pool = self.clone();
        Box::pin(async move { pool.begin().await })
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("secret", &self.0.secret)
            .field("size", &self.0.pool.size())
            .finish_non_exhaustive()
    }
}

/// After a change, what sqlx opens by itself is to be the new version's, and what is idle and older has to go: taken
/// and given back, it is closed by `after_release`.
async fn follow(pool: Weak<Following>, mut changes: watch::Receiver<Change>) {
    while changes.changed().await.is_ok() {
        let Some(following) = pool.upgrade() else {
            return;
        };
        if let Ok(credential) = following.secret.current() {
            // one that is not to log in with is told to whoever acquires
            let _ = following.give(&credential);
        }
        let_idle_ones_go(&following.pool);
        drop(following);
        sleep(SETTLED).await;
        let Some(following) = pool.upgrade() else {
            return;
        };
        let_idle_ones_go(&following.pool);
    }
}

fn let_idle_ones_go(pool: &PgPool) {
    // held together, so that each is taken once
    let idle: Vec<_> = (0..pool.num_idle())
        .map_while(|_| pool.try_acquire())
        .collect();
    drop(idle);
}

fn configured(
    connect: PgConnectOptions,
    secret: &RotatingSecret,
    credential: &Credential,
) -> Result<PgConnectOptions, Error> {
    let login = Login::of(secret.id(), credential).map_err(configuration)?;
    let connect = connect
        .host(login.host)
        .port(login.port)
        .username(login.user)
        .password(login.password.expose_secret())
        .ssl_mode(if login.tls {
            PgSslMode::VerifyFull
        } else {
            PgSslMode::Disable
        });
    Ok(match login.database {
        Some(database) => connect.database(database),
        None => connect,
    })
}

fn configuration(error: impl fmt::Display) -> Error {
    Error::Configuration(error.to_string().into())
}
