//! bb8's pool of one version, with the interface that all pools share.

use std::{
    iter,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use bb8::{PooledConnection, RunError};
use futures_util::FutureExt;
use tokio::time::timeout;

use super::{
    super::following::{Driver, Holds, NO_ROOM},
    Manager,
    manager::{CLOSED, HAS_ONE, HELD_BACK, LEAVES, LastFailure, Shared, TURN},
};
use crate::{
    Attempt, LogInError,
    postgres::{ConnectError, Refusal, Tls},
};

pub(super) struct Inner<T: Tls> {
    pub(super) pool: bb8::Pool<Manager<T>>,
    pub(super) shared: Arc<Shared>,
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
    fn take_idle(&self) -> Option<PooledConnection<'static, Manager<T>>> {
        // without an idle connection, bb8 would log in
        let is_there = self.holds().idle > 0;
        is_there
            .then(|| self.pool.get_owned().now_or_never())??
            .ok()
    }

    /// bb8 keeps trying, and reports no answer of the server: here a waiting caller gets such an answer.
    async fn get_unless(
        &self,
        ends_it: impl Fn(&str) -> bool,
    ) -> Result<PooledConnection<'static, Manager<T>>, RunError<ConnectError>> {
        if self.shared.is_closed.load(SeqCst) {
            return Err(failed(CLOSED));
        }
        let mut failures = self.shared.failure.subscribe();
        let has_one = Arc::new(AtomicBool::default());
        let mut taken = pin!(HAS_ONE.scope(has_one.clone(), self.pool.get_owned()));
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
                        // bb8 keeps connections ready by itself (`min_idle`): a failure of one of them does not matter here
                        _ if has_one.load(SeqCst) => {}
                        Some(LastFailure { text: answer, sqlstate: Some(sqlstate), .. }) if ends_it(&sqlstate) => {
                            return Err(failed(Refusal::Answered { answer, sqlstate }));
                        }
                        Some(LastFailure { held_back: true, .. }) => {
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
            let login = TURN.scope((), self.pool.dedicated_connection());
            let limit = self.pool.config().connection_timeout;
            let client = timeout(limit, login).await.map_err(|_| {
                let last = "the server did not finish the login".to_owned();
                failed(Refusal::TimedOut { last })
            })??;
            // if it has no room for this connection any more, it has another one
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
        LEAVES.sync_scope((), || self.take_idle().is_some())
    }

    fn stop_logins(&self, _: &Self) {
        self.shared.is_leaving.store(true, SeqCst);
    }

    fn close(&self) -> Vec<Self::Connection> {
        self.shared.is_closed.store(true, SeqCst);
        LEAVES.sync_scope((), || iter::from_fn(|| self.take_idle()).collect())
    }

    fn sqlstate(error: &Self::Error) -> Option<String> {
        match error {
            RunError::User(LogInError::Failed(refusal)) => refusal.sqlstate().map(str::to_owned),
            _ => None,
        }
    }
}

pub(super) fn failed(refusal: Refusal) -> RunError<ConnectError> {
    RunError::User(LogInError::Failed(refusal))
}

pub(super) fn explained(error: RunError<ConnectError>) -> ConnectError {
    match error {
        RunError::User(error) => error,
        RunError::TimedOut => LogInError::Failed(Refusal::NotNow("all connections are in use")),
    }
}
