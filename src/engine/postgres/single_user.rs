//! One role whose password is replaced.
//!
//! There is no overlap: a role has one password, and PostgreSQL ends the old one at once for new connections.
//! Between setSecret and finishSecret AWSCURRENT does not log in, and a client goes to AWSPENDING.

use std::time::SystemTime;

use secrecy::SecretString;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::{Limits, Session, connect::classify_statement, roles};
use crate::{document::Document, engine::EngineError, settings::PasswordHashing};

/// The same user with a new password.
pub(super) fn propose(current: &Document, password: SecretString) -> Document {
    current.with_password(password)
}

/// The role changes its own password, which needs no right but to log in.
pub(super) async fn change(
    session: &Session,
    pending: &Document,
    hashing: PasswordHashing,
    limits: Limits,
) -> Result<(), EngineError> {
    let server = session.server.clone();
    if session.standby {
        return Err(EngineError::Standby { server });
    }
    if pending.username() != session.user {
        let (user, expected) = (pending.username().to_owned(), session.user.clone());
        return Err(EngineError::AnotherUser { user, expected });
    }
    let sql = roles::change_password(
        pending.username(),
        pending.password(),
        hashing,
        limits.statement,
    );
    match timeout(limits.statement, session.client.batch_execute(&sql)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => EngineError::ChangeForbidden {
                server,
                user: session.user.clone(),
            },
            Some(&SqlState::QUERY_CANCELED) => EngineError::TimedOut {
                server,
                seconds: limits.statement.as_secs_f32(),
            },
            // never the server's message: it may quote the statement, which holds the password
            Some(code) => EngineError::Refused {
                server,
                code: code.code().to_owned(),
                message: "ALTER ROLE … PASSWORD".to_owned(),
            },
            None => EngineError::Unreachable {
                server,
                reason: error.to_string(),
            },
        }),
        Err(_) => Err(EngineError::TimedOut {
            server,
            seconds: limits.statement.as_secs_f32(),
        }),
    }
}

/// The role ends its own sessions, which needs no right.
pub(super) async fn revoke(
    session: &Session,
    begun_before: SystemTime,
    limits: Limits,
) -> Result<u64, EngineError> {
    let ended = roles::end_sessions(&session.client, &session.user, Some(begun_before));
    match timeout(limits.statement, ended).await {
        Ok(ended) => {
            ended.map_err(|error| classify_statement(&error, session, "end its own sessions", ""))
        }
        Err(_) => Err(EngineError::TimedOut {
            server: session.server.clone(),
            seconds: limits.statement.as_secs_f32(),
        }),
    }
}
