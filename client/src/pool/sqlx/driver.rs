//! sqlx's pool of one version, with the interface that all pools share.

use std::{io, pin::pin, sync::Arc, task::Poll, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{
    Connection, Error, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::time::timeout;

use super::{
    super::{
        ANSWERS_WITHIN,
        following::{Driver, Holds, NO_ROOM},
        token,
    },
    configuration,
};
use crate::{causes::in_one_line, slot::Shared};

/// sqlx may retry a login that takes longer again and again.
const SLOW: Duration = Duration::from_secs(2);

/// How long to wait for the reason why there was no connection.
pub(super) const ONCE_MORE: Duration = Duration::from_secs(2);
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) pool: PgPool,
    pub(super) secret: Arc<Shared>,
    pub(super) version: Arc<str>,
    pub(super) read_write: bool,
    /// Whether an idle connection is checked before it is returned. sqlx would wait for an answer that never comes.
    pub(super) asks: bool,
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
            let answers = self.answers(&mut connection, logs_in);
            let answered = timeout(ANSWERS_WITHIN, answers).await;
            match answered {
                Ok(Ok(true)) => return Ok(connection),
                Ok(Ok(false)) => {
                    let _ = connection.close().await;
                }
                Ok(Err(error)) if logs_in => return Err(error),
                // it is gone, or silent: a goodbye may not arrive either
                Ok(Err(_)) | Err(_) => {
                    drop(connection.detach());
                    continue;
                }
            }
            if logs_in {
                let (host, port) = self.place();
                let reason = "the server takes no writes: it is a standby, or default_transaction_read_only is on";
                return Err(configuration(format_args!("{host} port {port}: {reason}")));
            }
        }
    }

    /// sqlx keeps trying when the server has no room for more connections, and does not report it, so this asks the server.
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
        // the pool would make another one in its place, where it keeps some ready
        let _ = timeout(ANSWERS_WITHIN, connection.detach().close()).await;
        true
    }

    /// sqlx's pool cannot stop its logins: it logs in as the next version.
    fn stop_logins(&self, next: &Self) {
        let options = next.pool.connect_options();
        self.pool.set_connect_options((*options).clone());
    }

    fn close(&self) -> Vec<PoolConnection<Postgres>> {
        let idle = (0..self.pool.num_idle()).map_while(|_| self.pool.try_acquire());
        let idle = idle.collect();
        // closed from here on; the future would wait for connections in use
        drop(self.pool.close());
        idle
    }

    fn sqlstate(error: &Error) -> Option<String> {
        let answer = error.as_database_error()?;
        answer.code().map(|code| code.into_owned())
    }
}

impl Inner {
    /// Whether the connection answers, and takes writes if that is required. A new one has just answered.
    async fn answers(&self, connection: &mut PgConnection, is_new: bool) -> Result<bool, Error> {
        match self.read_write {
            true => takes_writes(connection).await,
            false if self.asks && !is_new => connection.ping().await.map(|()| true),
            false => Ok(true),
        }
    }

    fn place(&self) -> (String, u16) {
        let options = self.pool.connect_options();
        (options.get_host().to_owned(), options.get_port())
    }

    /// The error with its cause, the host and the port. If a connection is refused, sqlx tries again until the time is up, and
    /// then reports only that. So this tries once more.
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

/// How often a login is polled before other tasks get their turn.
const POLLS: usize = 256;

/// sqlx computes a password's proof in 4,096 rounds, and yields to all other tasks after every five: on a busy runtime that
/// takes seconds. So a pending login is polled again at once, within bounds.
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

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_login_that_yields_hundreds_of_times_waits_only_a_few_times() {
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
