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

use std::{fmt, io, pin::pin, sync::Arc, task::Poll, time::Duration};

use async_stream::try_stream;
use futures_util::{TryStreamExt, future::BoxFuture, stream::BoxStream};
use secrecy::ExposeSecret;
use sqlx::{
    Acquire, Connection, Describe, Either, Error, Execute, Executor, PgPool, Postgres, SqlStr,
    Transaction,
    pool::PoolConnection,
    postgres::{
        PgConnectOptions, PgConnection, PgPoolOptions, PgQueryResult, PgRow, PgStatement,
        PgTypeInfo,
    },
};
use tokio::{runtime::Handle, time::timeout};

use super::{
    Settings,
    following::{Driver, Following, Holds, NO_ROOM},
    token,
};
use crate::{
    Credential, LogInError, RotatingSecret, causes::in_one_line, postgresql::Login, slot::Shared,
};

/// A login that takes longer may be one that sqlx tries again and again.
const SLOW: Duration = Duration::from_secs(2);

/// For as long it is waited to learn why there was no connection.
const ONCE_MORE: Duration = Duration::from_secs(2);

/// A pool of the secret's connections. A clone is the same pool.
///
/// `&Pool` is taken wherever sqlx takes `&PgPool` to run a query or to begin a transaction. [`inner`](Self::inner) is
/// sqlx's own, for everything but that: its queries do not survive a rejected login.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Following<Inner>>);

/// A pool of the secret's connections.
///
/// `connect` has what the secret has not: the application's name, the roots for TLS, timeouts. TLS is verify-full
/// whatever it says, unless the secret itself says `"ssl": false`. `options` are each version's pool's; its callbacks are
/// the caller's own.
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
    pool_with(secret, connect, options, Settings::default()).await
}

/// The same, with how it goes over to the next version.
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
        Ok(Inner {
            pool: options.clone().connect_lazy_with(connect),
            secret: of.clone(),
            version: credential.version_id().clone(),
            read_write: settings.read_write,
        })
    };
    let following = Following::new(secret, &credential, settings, on, make)?;
    Ok(Pool(Arc::new(following)))
}

impl Pool {
    /// sqlx's pool of the version in force: another one after each change.
    pub fn inner(&self) -> PgPool {
        self.0.serving().pool.pool.clone()
    }

    /// A connection of the version in force, or of what the provider has if the server rejects that.
    ///
    /// # Errors
    ///
    /// As sqlx has it; without a credential it is [`Error::Configuration`]. After `acquire_timeout`, and two seconds more
    /// to ask why, it is [`Error::PoolTimedOut`].
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

    /// How many connections it has of the version that serves.
    pub fn size(&self) -> u32 {
        self.inner().size()
    }

    /// How many of them are idle.
    pub fn num_idle(&self) -> usize {
        self.inner().num_idle()
    }

    /// Closes what is idle, and waits for what is in use of the version that serves. It gives no connection any more.
    pub async fn close(&self) {
        self.0.close();
        self.inner().close().await;
    }
}

#[derive(Clone)]
struct Inner {
    pool: PgPool,
    secret: Arc<Shared>,
    version: Arc<str>,
    read_write: bool,
}

impl Driver for Inner {
    type Connection = PoolConnection<Postgres>;
    type Idle = Self::Connection;
    type Error = Error;

    async fn get(&self) -> Result<PoolConnection<Postgres>, Error> {
        loop {
            if let Some(token) = token(&self.secret, &self.version) {
                let options = PgConnectOptions::clone(&self.pool.connect_options());
                let renewed = options.password(token.expose_secret());
                self.pool.set_connect_options(renewed);
            }
            let logs_in = self.holds().lacks_one();
            let taken = match logs_in {
                true => eagerly(self.pool.acquire()).await,
                false => self.pool.acquire().await,
            };
            let mut connection = match taken {
                Ok(connection) => connection,
                Err(error) => return Err(self.explained(error).await),
            };
            if !self.read_write || takes_writes(&mut connection).await? {
                return Ok(connection);
            }
            let _ = connection.close().await;
            if logs_in {
                let (host, port) = self.place();
                let told = "the server takes no writes: it is a standby, or default_transaction_read_only is on";
                return Err(configuration(format_args!("{host} port {port}: {told}")));
            }
        }
    }

    /// sqlx goes on trying where the server has no room for more connections, and tells nobody: so that is asked.
    async fn log_in(&self) -> Result<PoolConnection<Postgres>, Error> {
        let mut taken = pin!(self.get());
        if let Ok(taken) = timeout(SLOW, &mut taken).await {
            return taken;
        }
        let options = self.pool.connect_options();
        match PgConnection::connect_with(&options).await {
            Err(error) if Self::sqlstate(&error).as_deref() == Some(NO_ROOM) => Err(error),
            _ => taken.await,
        }
    }

    fn holds(&self) -> Holds {
        Holds {
            all: self.pool.size() as usize,
            idle: self.pool.num_idle(),
            at_most: self.pool.options().get_max_connections() as usize,
        }
    }

    async fn let_one_go(&self) -> bool {
        let Some(connection) = self.pool.try_acquire() else {
            return false;
        };
        let _ = connection.close().await;
        true
    }

    fn close(&self) -> Vec<PoolConnection<Postgres>> {
        let idle = (0..self.pool.num_idle()).map_while(|_| self.pool.try_acquire());
        let idle = idle.collect();
        // it is closed from here on; the future would wait for what is in use
        drop(self.pool.close());
        idle
    }

    fn sqlstate(error: &Error) -> Option<String> {
        let answer = error.as_database_error()?;
        answer.code().map(|code| code.into_owned())
    }
}

impl Inner {
    fn place(&self) -> (String, u16) {
        let options = self.pool.connect_options();
        (options.get_host().to_owned(), options.get_port())
    }

    /// With the cause, the host and the port. sqlx tries again until the time is up where a connection is refused, and then
    /// says no more than that: so it is tried once more.
    async fn explained(&self, error: Error) -> Error {
        let holds = self.holds();
        let error = match error {
            Error::PoolTimedOut if holds.all < holds.at_most => {
                let options = self.pool.connect_options();
                match timeout(ONCE_MORE, PgConnection::connect_with(&options)).await {
                    Ok(Err(cause)) => cause,
                    // it closes when it is dropped
                    Ok(Ok(_)) | Err(_) => error,
                }
            }
            error => error,
        };
        let (host, port) = self.place();
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
}

async fn takes_writes(connection: &mut PgConnection) -> Result<bool, Error> {
    let asked = sqlx::query_scalar("SHOW transaction_read_only");
    let is_read_only: String = asked.fetch_one(connection).await?;
    Ok(is_read_only != "on")
}

/// How often a login is polled before other tasks have their turn.
const POLLS: usize = 256;

/// sqlx computes a password's proof in 4,096 rounds, and after every five it has all other tasks go first: on a busy runtime
/// that is seconds. So what is not ready is asked again at once, within bounds.
async fn eagerly<T>(login: impl Future<Output = T>) -> T {
    let mut login = pin!(login);
    std::future::poll_fn(|context| {
        for _ in 0..POLLS {
            if let Poll::Ready(made) = login.as_mut().poll(context) {
                return Poll::Ready(made);
            }
        }
        Poll::Pending
    })
    .await
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

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_login_that_lets_others_go_first_hundreds_of_times_waits_for_them_only_now_and_then()
    {
        // 4,096 rounds, and a pause after every five
        let proof = async {
            for _ in 0..4096 / 5 {
                yield_now().await;
            }
        };
        let (mut login, mut turns) = (pin!(eagerly(proof)), 0);
        std::future::poll_fn(|context| {
            turns += 1;
            login.as_mut().poll(context)
        })
        .await;
        assert!(turns <= 4, "{turns}");
    }
}
