//! What testSecret proves beyond a login.

use tokio::time::timeout;
use tokio_postgres::Error;

use super::{Limits, Session, roles};
use crate::{document::Document, engine::EngineError};

/// Looks at who the session is and acts as, and runs `VERIFY_SQL` in a transaction that is read only and rolled back.
pub(super) async fn prove(
    session: &Session,
    document: &Document,
    verify_sql: Option<&str>,
    limits: Limits,
) -> Result<(), EngineError> {
    let proof = async {
        let unreadable = |error: Error| refused(session, &error);
        let found = roles::identity(&session.client).await.map_err(unreadable)?;
        let not = |what| EngineError::NotAsExpected {
            server: session.server.clone(),
            user: document.username().to_owned(),
            what,
        };
        if found.session_user != document.username() {
            return Err(not("the session is another user's"));
        }
        if found.current_user != found.acts_as {
            return Err(not("it does not act as the role that its settings name"));
        }
        if found.expired {
            return Err(not("its password has ended (VALID UNTIL)"));
        }
        match verify_sql {
            Some(sql) => verify(session, sql)
                .await
                .map_err(|error| failed(session, &error)),
            None => Ok(()),
        }
    };
    timeout(limits.statement, proof).await.unwrap_or_else(|_| {
        let seconds = limits.statement.as_secs_f32();
        Err(EngineError::TimedOut {
            server: session.server.clone(),
            seconds,
        })
    })
}

async fn verify(session: &Session, sql: &str) -> Result<(), Error> {
    session.client.batch_execute("BEGIN READ ONLY").await?;
    session.client.batch_execute(sql).await?;
    session.client.batch_execute("ROLLBACK").await
}

fn refused(session: &Session, error: &Error) -> EngineError {
    match error.as_db_error() {
        Some(answer) => EngineError::Refused {
            server: session.server.clone(),
            code: answer.code().code().to_owned(),
            message: answer.message().to_owned(),
        },
        None => EngineError::Unreachable {
            server: session.server.clone(),
            reason: error.to_string(),
        },
    }
}

fn failed(session: &Session, error: &Error) -> EngineError {
    match refused(session, error) {
        EngineError::Refused {
            server,
            code,
            message,
        } => EngineError::VerifyFailed {
            server,
            user: session.user.clone(),
            code,
            message,
        },
        other => other,
    }
}
