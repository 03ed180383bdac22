//! [bb8](https://docs.rs/bb8): its connections, from the pool of the version in force.
//!
//! ```no_run
//! # async fn example(secret: rotating_secret::RotatingSecret, tls: tokio_postgres_rustls::MakeRustlsConnect) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = rotating_secret::pool::bb8::pool(&secret, tls, |builder| builder.max_size(16)).await?;
//! let row = pool.get().await?.query_one("SELECT count(*) FROM orders", &[]).await?;
//! # Ok(()) }
//! ```

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bb8::{Builder, ErrorSink, ManageConnection, PooledConnection, RunError};
use futures_util::FutureExt;
use secrecy::ExposeSecret;
use tokio::{runtime::Handle, sync::watch};
use tokio_postgres::{Client, Config};

use super::{
    Settings,
    following::{Driver, Following, Holds, NO_ROOM},
    token,
};
use crate::{
    Attempt, Credential, LogInError, RotatingSecret,
    postgres::{
        ConnectError, Guard, Refusal, Tls, configured, connect_once, takes_writes, wants_writes,
    },
    slot,
};

/// A pool of the secret's connections. A clone is the same pool.
pub struct Pool<T: Tls>(Arc<Following<Inner<T>>>);

/// A pool of the secret's connections; `configure` sets up each version's.
///
/// # Errors
///
/// There is no credential, it is not one to log in with, or this is called outside of a tokio runtime. No connection is
/// waited for.
pub async fn pool<T: Tls>(
    secret: &RotatingSecret,
    tls: T,
    configure: impl Fn(Builder<Manager<T>>) -> Builder<Manager<T>> + Send + Sync + 'static,
) -> Result<Pool<T>, ConnectError> {
    pool_with(secret, Config::new(), tls, Settings::default(), configure).await
}

/// The same with settings of the caller's: `config` for what the secret has not (`application_name`, `options`, keepalives,
/// `target_session_attrs`).
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
    let (of, read_write) = (secret.shared.clone(), wants_writes(&mut config, settings));
    let make = move |credential: &Credential| {
        let (config, tls) = configured(&config, credential, tls.clone()).map_err(failed)?;
        let shared = Arc::new(Shared {
            secret: of.clone(),
            version: credential.version_id().clone(),
            failure: watch::Sender::new(None),
            to_close: AtomicUsize::new(0),
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
    /// A connection, as bb8's own `get_owned` has it; the error says why none could be made.
    ///
    /// # Errors
    ///
    /// [`RunError::User`]: the server rejected all versions, there is no credential, or the last connection could not be
    /// made within bb8's `connection_timeout`. [`RunError::TimedOut`]: all are in use for so long.
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

    /// bb8's pool of the version in force: another one after each change.
    pub fn inner(&self) -> bb8::Pool<Manager<T>> {
        self.0.serving().pool.pool.clone()
    }

    /// How many connections it has of the version that serves.
    pub fn size(&self) -> usize {
        self.0.serving().pool.holds().all
    }

    /// How many of them are idle.
    pub fn num_idle(&self) -> usize {
        self.0.serving().pool.holds().idle
    }

    /// Closes what is idle, and what is in use when it comes back. It gives no connection any more.
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

/// What keeps a connection from being made goes to the log too: nobody may be waiting for it.
#[derive(Clone, Debug)]
struct Log;

impl ErrorSink<ConnectError> for Log {
    fn sink(&self, error: ConnectError) {
        match error {
            ConnectError::Failed(Refusal::NotNow(_)) => {}
            error => tracing::warn!(%error, "a pool's connection was not made, or is broken"),
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<ConnectError>> {
        Box::new(self.clone())
    }
}

tokio::task_local! {
    /// A login whose turn it is: bb8 makes connections in tasks of its own, and tries again by itself.
    static TURN: ();
}

/// Why the last connection was not made, and what the server answered.
///
/// bb8 tries again until the time is up, and then says no more than that. Its sink hears of the failure too late.
#[derive(Clone)]
struct LastFailure {
    text: String,
    sqlstate: Option<String>,
}

/// Makes the connections of one version.
pub struct Manager<T> {
    config: Config,
    tls: Guard<T>,
    read_write: bool,
    shared: Arc<Shared>,
}

/// What a pool of bb8's keeps to itself, and its manager knows.
struct Shared {
    /// No handle: bb8 goes on trying after its pool is dropped, and that must not keep the secret alive.
    secret: Arc<slot::Shared>,
    version: Arc<str>,
    failure: watch::Sender<Option<LastFailure>>,
    /// How many connections are to be closed.
    to_close: AtomicUsize,
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.to_close.load(SeqCst) == ALL
    }

    fn is_doubted(&self) -> bool {
        self.secret.rejections.is_doubted(&self.version)
    }
}

impl<T> fmt::Debug for Manager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager")
            .field("secret", &self.shared.secret.id)
            .field("version", &self.shared.version)
            .finish_non_exhaustive()
    }
}

/// All connections that there are, and those that are to come.
const ALL: usize = usize::MAX;

impl<T: Tls> ManageConnection for Manager<T> {
    type Connection = Client;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Client, ConnectError> {
        if self.shared.is_closed() {
            return Err(LogInError::Failed(CLOSED));
        }
        let has_turn = TURN.try_with(|()| ()).is_ok();
        if !has_turn && self.shared.is_doubted() {
            let held_back = LastFailure {
                text: HELD_BACK.to_owned(),
                sqlstate: None,
            };
            self.shared.failure.send_replace(Some(held_back));
            return Err(LogInError::Failed(Refusal::NotNow(HELD_BACK)));
        }
        let mut config = self.config.clone();
        if let Some(token) = token(&self.shared.secret, &self.shared.version) {
            config.password(token.expose_secret());
        }
        let connected = connect_once(&config, self.tls.clone()).await;
        self.shared
            .failure
            .send_replace(connected.as_ref().err().map(|refusal| LastFailure {
                text: refusal.to_string(),
                sqlstate: refusal.sqlstate().map(str::to_owned),
            }));
        let (client, connection) = connected.map_err(LogInError::Failed)?;
        // meanwhile; bb8 would keep it for as long as another login of this pool goes on
        if self.shared.is_closed() {
            return Err(LogInError::Failed(CLOSED));
        }
        // its end is the client's: an error reaches whoever waits for a statement
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(client)
    }

    async fn is_valid(&self, client: &mut Client) -> Result<(), ConnectError> {
        // it is taken to be closed
        if self.shared.to_close.load(SeqCst) > 0 {
            return Ok(());
        }
        let answered = match self.read_write {
            true => takes_writes(client).await,
            false => client.simple_query("").await.map(drop).map_err(Into::into),
        };
        answered.map_err(LogInError::Failed)
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        let one_less = |count: usize| match count {
            0 => None,
            ALL => Some(ALL),
            count => Some(count - 1),
        };
        client.is_closed()
            || self
                .shared
                .to_close
                .fetch_update(SeqCst, SeqCst, one_less)
                .is_ok()
    }
}

struct Inner<T: Tls> {
    pool: bb8::Pool<Manager<T>>,
    shared: Arc<Shared>,
}

impl<T: Tls> Clone for Inner<T> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<T: Tls> Inner<T> {
    /// bb8 goes on trying, and tells nobody what the server answers: who waits is told of such an answer here.
    async fn get_unless(
        &self,
        ends_it: impl Fn(&str) -> bool,
    ) -> Result<PooledConnection<'static, Manager<T>>, RunError<ConnectError>> {
        if self.shared.is_closed() {
            return Err(failed(CLOSED));
        }
        let mut failures = self.shared.failure.subscribe();
        let mut taken = pin!(self.pool.get_owned());
        loop {
            tokio::select! {
                biased;
                taken = &mut taken => {
                    let last = failures.borrow().clone();
                    return taken.map_err(|error| match (error, last) {
                        (RunError::TimedOut, Some(LastFailure { text: last, .. })) => failed(Refusal::TimedOut { last }),
                        (error, _) => error,
                    });
                }
                Ok(()) = failures.changed() => {
                    match failures.borrow_and_update().clone() {
                        Some(LastFailure { text: answer, sqlstate: Some(sqlstate) }) if ends_it(&sqlstate) => {
                            return Err(failed(Refusal::Answered { answer, sqlstate }));
                        }
                        Some(LastFailure { text, .. }) if text == HELD_BACK => {
                            return Err(failed(Refusal::NotNow(HELD_BACK)));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Whether the server said, or may have said, that the password is wrong.
fn is_rejection(sqlstate: &str) -> bool {
    !matches!(Attempt::of(Some(sqlstate), ()), Attempt::Failed(()))
}

impl<T: Tls> Driver for Inner<T> {
    type Connection = PooledConnection<'static, Manager<T>>;
    type Idle = Self::Connection;
    type Error = RunError<ConnectError>;

    async fn get(&self) -> Result<Self::Connection, Self::Error> {
        self.get_unless(is_rejection).await
    }

    async fn log_in(&self) -> Result<Self::Connection, Self::Error> {
        if self.shared.is_doubted() {
            let client = TURN.scope((), self.pool.dedicated_connection()).await?;
            // if there is no room for it any more, there is another one
            let _ = self.pool.add(client);
        }
        self.get_unless(|sqlstate| is_rejection(sqlstate) || sqlstate == NO_ROOM)
            .await
    }

    fn holds(&self) -> Holds {
        let state = self.pool.state();
        Holds {
            all: state.connections as usize,
            idle: state.idle_connections as usize,
            at_most: self.pool.config().max_size as usize,
        }
    }

    async fn let_one_go(&self) -> bool {
        if self.holds().idle == 0 {
            return false;
        }
        self.shared.to_close.fetch_add(1, SeqCst);
        let taken = self.pool.get_owned().now_or_never();
        matches!(taken, Some(Ok(_)))
    }

    fn close(&self) -> Vec<Self::Connection> {
        self.shared.to_close.store(ALL, SeqCst);
        let mut idle = Vec::new();
        while self.holds().idle > 0
            && let Some(Ok(connection)) = self.pool.get_owned().now_or_never()
        {
            idle.push(connection);
        }
        idle
    }

    fn sqlstate(error: &Self::Error) -> Option<String> {
        match error {
            RunError::User(LogInError::Failed(refusal)) => refusal.sqlstate().map(str::to_owned),
            _ => None,
        }
    }
}

const HELD_BACK: &str = "the server rejects this version: it is tried again by one login at a time";

const CLOSED: Refusal = Refusal::NotNow("the pool is closed");

fn failed(refusal: Refusal) -> RunError<ConnectError> {
    RunError::User(LogInError::Failed(refusal))
}

fn explained(error: RunError<ConnectError>) -> ConnectError {
    match error {
        RunError::User(error) => error,
        RunError::TimedOut => LogInError::Failed(Refusal::NotNow("all connections are in use")),
    }
}
