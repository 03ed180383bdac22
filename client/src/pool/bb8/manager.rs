//! Makes the connections of one version.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use bb8::{ErrorSink, ManageConnection};
use tokio::{sync::watch, time::timeout};
use tokio_postgres::{Client, Config};

use super::super::{ANSWERS_WITHIN, with_current_token};
use crate::{
    LogInError,
    postgres::{ConnectError, Guard, Refusal, Tls, connect_once, takes_writes},
    slot,
};

pub(super) const CLOSED: Refusal = Refusal::NotNow("the pool is closed");
pub(super) const HELD_BACK: &str =
    "the server rejects this version: it is tried again by one login at a time";

/// Logs why a connection was not made: nobody may be waiting for it.
#[derive(Clone, Debug)]
pub(super) struct Log;

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
    /// A login whose turn it is: bb8 makes connections in its own tasks, and tries again by itself.
    pub(super) static TURN: ();
    /// A connection that is taken now closes: it is not checked for a living session.
    pub(super) static LEAVES: ();
    /// Whether the caller has found an idle connection, whose session is being checked.
    pub(super) static HAS_ONE: Arc<AtomicBool>;
}

/// Why the last connection was not made, and the server's answer.
///
/// bb8 tries again until the time is up, and then reports only that. Its sink gets the failure too late.
#[derive(Clone)]
pub(super) struct LastFailure {
    pub(super) text: String,
    pub(super) sqlstate: Option<String>,
    /// It was not tried, because it was not its turn.
    pub(super) held_back: bool,
}

/// Makes the connections of one version.
pub struct Manager<T> {
    pub(super) config: Config,
    pub(super) tls: Guard<T>,
    pub(super) read_write: bool,
    pub(super) shared: Arc<Shared>,
}

/// What a pool of bb8 does not show, and its manager needs.
pub(super) struct Shared {
    /// No handle: bb8 keeps trying after its pool is dropped, and that must not keep the secret alive.
    pub(super) secret: Arc<slot::Shared>,
    pub(super) version: Arc<str>,
    pub(super) failure: watch::Sender<Option<LastFailure>>,
    /// The pool of another version serves.
    pub(super) is_leaving: AtomicBool,
    pub(super) is_closed: AtomicBool,
}

impl Shared {
    pub(super) fn is_doubted(&self) -> bool {
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

impl<T: Tls> ManageConnection for Manager<T> {
    type Connection = Client;
    type Error = ConnectError;

    async fn connect(&self) -> Result<Client, ConnectError> {
        if self.shared.is_closed.load(SeqCst) {
            return Err(LogInError::Failed(CLOSED));
        }
        let has_turn = TURN.try_with(|()| ()).is_ok();
        if self.shared.is_leaving.load(SeqCst) || !has_turn && self.shared.is_doubted() {
            let held_back = LastFailure {
                text: HELD_BACK.to_owned(),
                sqlstate: None,
                held_back: true,
            };
            self.shared.failure.send_replace(Some(held_back));
            return Err(LogInError::Failed(Refusal::NotNow(HELD_BACK)));
        }
        let Shared {
            secret, version, ..
        } = &*self.shared;
        let config = with_current_token(&self.config, secret, version);
        let connected = connect_once(&config, self.tls.clone()).await;
        self.shared
            .failure
            .send_replace(connected.as_ref().err().map(|refusal| LastFailure {
                text: refusal.to_string(),
                sqlstate: refusal.sqlstate().map(str::to_owned),
                held_back: false,
            }));
        let (client, connection) = connected.map_err(LogInError::Failed)?;
        // closed meanwhile; bb8 would keep the connection for as long as another login of this pool lasts
        if self.shared.is_closed.load(SeqCst) {
            return Err(LogInError::Failed(CLOSED));
        }
        // the client reports its end: a waiting statement gets the error
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(client)
    }

    async fn is_valid(&self, client: &mut Client) -> Result<(), ConnectError> {
        if LEAVES.try_with(|()| ()).is_ok() {
            return Ok(());
        }
        let answered = async {
            match self.read_write {
                true => takes_writes(client).await,
                false => client.simple_query("").await.map(drop).map_err(Into::into),
            }
        };
        let has_one = |so| HAS_ONE.try_with(|has_one| has_one.store(so, SeqCst));
        let _ = has_one(true);
        let answered = timeout(ANSWERS_WITHIN, answered).await;
        let _ = has_one(false);
        let silent = |_| Err(Refusal::NotNow("the connection does not answer any more"));
        answered.unwrap_or_else(silent).map_err(LogInError::Failed)
    }

    fn has_broken(&self, client: &mut Client) -> bool {
        client.is_closed() || self.shared.is_closed.load(SeqCst) || LEAVES.try_with(|()| ()).is_ok()
    }
}
