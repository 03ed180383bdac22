//! A session that is logged in.

use std::sync::{Arc, Mutex};

use tokio::{
    join,
    sync::SetOnce,
    task::JoinHandle,
    time::{Duration, timeout},
};
use tokio_postgres::{
    Client, Error, Row,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{Limits, errors::Doing, locks, mutex::lock, wire::Login};
use crate::engine::EngineError;

/// A value of a question, and its type.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// One of the secret's own credentials, which changes itself, or proves the server for the administrator's.
    Owner,
    /// The administrator's credential.
    Administrator,
    /// As the application gets it, with all settings of its role and its database.
    Application,
}

/// A session that is logged in. Dropping it closes it.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Client,
    pub(super) server: String,
    pub(super) user: String,
    /// Whose session the server says that it is: a pooler in between may log in as another user.
    pub(super) session_user: String,
    pub(super) standby: bool,
    /// A pooler in between shares its connections: a setting made outside a transaction reaches others.
    pub(super) pooled: bool,
    /// The server ends it soon when it is idle.
    pub(super) short_idle_timeout: bool,
    /// The server ends its transactions soon.
    pub(super) short_transaction_timeout: bool,
    /// How it logged in, and what went wrong on the way since then.
    pub(super) login: Arc<Mutex<Login>>,
    pub(super) purpose: Purpose,
    pub(super) limits: Limits,
    pub(super) ended: Arc<SetOnce<Option<SqlState>>>,
    pub(super) connection: Option<JoinHandle<()>>,
    pub(super) closing: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Session {
    /// Whether the server takes no changes.
    #[cfg(feature = "doctor")]
    pub fn is_standby(&self) -> bool {
        self.standby
    }

    /// A standby takes no changes, and proves nothing about its primary.
    pub(super) fn takes_changes(&self) -> Result<(), EngineError> {
        match self.standby {
            false => Ok(()),
            true => Err(EngineError::Standby {
                server: self.server.clone(),
            }),
        }
    }

    /// Whether the server answers at once. If the server ended without a message, or while Lambda froze this environment, the
    /// session still looks open.
    pub(super) async fn answers(&self) -> bool {
        let answer = timeout(Duration::from_secs(1), self.client.simple_query(""));
        matches!(answer.await, Ok(Ok(_)))
    }

    /// Sends one message, of one statement or several, and waits no longer than a statement may take.
    pub(super) async fn run(&self, sql: &str, doing: Doing<'_>) -> Result<(), EngineError> {
        self.bounded(self.client.batch_execute(sql), doing, sql)
            .await
    }

    /// What `read` makes of each row of an answer. A question holds no secret, so the server may quote it.
    pub(super) async fn ask<T>(
        &self,
        question: &str,
        values: &[Value<'_>],
        doing: Doing<'_>,
        read: fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, EngineError> {
        let answer = self.rows(question, values, read);
        self.bounded(answer, doing, "").await
    }

    /// The same without a limit. No statement is prepared: behind a pooler its name may belong to another session.
    pub(super) async fn rows<T>(
        &self,
        question: &str,
        values: &[Value<'_>],
        read: fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.client.query_typed(question, values).await?;
        rows.iter().map(read).collect()
    }

    /// The answer to a question in a transaction of its own. All three are sent together, which costs one way to the server and back.
    /// If `begin` fails, so do the others: the first error in their order is the reason.
    pub(super) async fn within<T>(
        &self,
        begin: &str,
        question: impl Future<Output = Result<T, EngineError>>,
        end: &str,
        doing: Doing<'_>,
    ) -> Result<T, EngineError> {
        let (begun, answer, ended) = join!(self.run(begin, doing), question, self.run(end, doing));
        begun?;
        let answer = answer?;
        ended.map(|()| answer)
    }

    async fn bounded<T>(
        &self,
        statement: impl Future<Output = Result<T, Error>>,
        doing: Doing<'_>,
        sql: &str,
    ) -> Result<T, EngineError> {
        match timeout(self.limits.statement, statement).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(&error, doing, sql).await),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Sorts a failed statement.
    pub(super) async fn failed(&self, error: &Error, doing: Doing<'_>, sql: &str) -> EngineError {
        let (server, user) = (self.server.clone(), self.user.clone());
        // the reason for the end of a session reaches the connection, not the statement
        let code = match error.code() {
            Some(code) => Some(code.clone()),
            None if lock(&self.login).prepares => {
                let reason = "a column has a type that is not PostgreSQL's own";
                return self.another_form(reason, doing.action);
            }
            None if error.is_closed() => self.ended_with().await,
            None => return self.another_form(error, doing.action),
        };
        let message = said(error, sql);
        match code {
            Some(SqlState::INSUFFICIENT_PRIVILEGE) => match self.purpose {
                Purpose::Administrator => EngineError::AdministratorForbidden {
                    server,
                    user,
                    action: doing.action.to_owned(),
                    message,
                    cure: doing.cure.to_owned(),
                },
                Purpose::Owner | Purpose::Application => EngineError::ChangeForbidden {
                    server,
                    user,
                    message,
                },
            },
            Some(SqlState::LOCK_NOT_AVAILABLE) => locks::held(self).await,
            Some(SqlState::QUERY_CANCELED) => self.timed_out(),
            Some(SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT) => {
                EngineError::LeaseOver { server }
            }
            Some(code) => EngineError::Refused {
                server,
                code: code.code().to_owned(),
                message: format!("as {user}, to {}: {message}", doing.action),
            },
            None => EngineError::Unreachable {
                server,
                reason: error.to_string(),
            },
        }
    }

    /// Anyone who can write the secret chooses the server, which may answer anything.
    pub(super) fn another_form(&self, reason: impl ToString, action: &str) -> EngineError {
        EngineError::AnotherForm {
            server: self.server.clone(),
            user: self.user.clone(),
            action: action.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// The time limit of the server, or of the wait for it, is over.
    pub(super) fn timed_out(&self) -> EngineError {
        EngineError::TimedOut {
            server: self.server.clone(),
            seconds: self.limits.statement.as_secs_f32(),
        }
    }

    /// The server's refusal.
    pub(super) fn refused(&self, code: &SqlState, action: &str) -> EngineError {
        EngineError::Refused {
            server: self.server.clone(),
            code: code.code().to_owned(),
            message: format!("as {}, to {action}", self.user),
        }
    }

    /// The SQLSTATE with which the server has ended this session, if it has.
    pub(super) async fn ended_with(&self) -> Option<SqlState> {
        if !self.client.is_closed() {
            return None;
        }
        // the connection's task is about to end
        let ended = timeout(Duration::from_secs(1), self.ended.wait()).await;
        ended.ok()?.clone()
    }
}

/// The server's message, unless it quotes a value of the statement: that may be a password, or an application's secret.
fn said(error: &Error, sql: &str) -> String {
    let message = error.as_db_error().map_or("", |answer| answer.message());
    let mut values = sql
        .split('\'')
        .skip(1)
        .step_by(2)
        .filter(|value| !value.is_empty());
    match values.any(|value| message.contains(value)) {
        true => "its message quotes the statement".to_owned(),
        false => message.to_owned(),
    }
}

/// The connection's task says goodbye, which takes a moment; the end of an invocation waits for it.
impl Drop for Session {
    fn drop(&mut self) {
        lock(&self.closing).extend(self.connection.take());
    }
}
