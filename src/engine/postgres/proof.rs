//! What testSecret proves beyond a login.

use tokio::time::timeout;

use super::{Session, errors::Doing, pin, roles};
use crate::{document::Document, engine::EngineError};

/// Looks at who the session is and acts as, and runs `VERIFY_SQL` in a transaction that is read only and rolled back.
///
/// The session is as the application gets it: nothing is set but time limits, and these in the transaction only.
pub(super) async fn prove(
    session: &Session,
    document: &Document,
    verify_sql: Option<&str>,
) -> Result<(), EngineError> {
    let not = |what| EngineError::NotAsExpected {
        server: session.server.clone(),
        user: document.username().to_owned(),
        what,
    };
    let Some(found) = roles::identity(session).await? else {
        return Err(not("the catalogs know no role of the session's name"));
    };
    if found.session_user != document.username() {
        return Err(not("the session is another user's"));
    }
    if found.acts_as.is_some_and(|role| role != found.current_user) {
        return Err(not("it does not act as the role that its settings name"));
    }
    if found.expired {
        return Err(not("its password has ended (VALID UNTIL)"));
    }
    match verify_sql {
        Some(sql) => verify(session, sql).await,
        None => Ok(()),
    }
}

async fn verify(session: &Session, sql: &str) -> Result<(), EngineError> {
    let doing = Doing::new("verify the credential");
    let begin = format!("BEGIN READ ONLY{}", pin::limits(session.limits));
    session.run(&begin, doing).await?;
    match timeout(session.limits.statement, session.client.batch_execute(sql)).await {
        Ok(Ok(())) => session.run("ROLLBACK", doing).await,
        Ok(Err(error)) => Err(match error.as_db_error() {
            // VERIFY_SQL is the operator's, and holds no secret: what the server says of it helps
            Some(answer) => EngineError::VerifyFailed {
                server: session.server.clone(),
                user: session.user.clone(),
                code: answer.code().code().to_owned(),
                message: answer.message().to_owned(),
            },
            None => session.failed(&error, doing).await,
        }),
        Err(_) => Err(session.timed_out()),
    }
}
