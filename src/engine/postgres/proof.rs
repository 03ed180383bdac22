//! What testSecret proves beyond a login.

use tokio::time::timeout;

use super::{Session, catalogs, errors::Doing, pin};
use crate::{
    document::{Document, Pair},
    engine::EngineError,
};

/// Checks who the session is and acts as, and runs `VERIFY_SQL` in a transaction that is read only and rolled back.
///
/// The session is as the application gets it: only time limits are set, and only in the transaction.
pub(super) async fn prove(
    session: &Session,
    document: &Document,
    verify_sql: Option<&str>,
) -> Result<(), EngineError> {
    is(session)?;
    let user = document.username();
    let begin = pin::begin_asking(session.limits);
    let asked = Doing::new("ask who it is");
    let identity = catalogs::identity(session);
    let found = session.within(&begin, identity, "ROLLBACK", asked).await?;
    let unknown = "the catalogs know no role of the session's name";
    let found = found.ok_or_else(|| not(session, unknown))?;
    if found.expired {
        return Err(not(session, "its password has ended (VALID UNTIL)"));
    }
    if let Some(role) = found.acts_as.filter(|role| *role != found.current_user) {
        let is_the_clone = document.takes_turns() && Pair::of(user).clone == user;
        if is_the_clone && !found.may_act_so {
            let what = "it does not act as the role that its settings name";
            return Err(not(session, what));
        }
        // a new password does not cause this: the role was so before, and an error would not help
        tracing::warn!(
            user,
            role,
            may = found.may_act_so,
            "the role is set to act as another one, but does not: grant it that role, or RESET the setting; if it may act as \
             that role, update the server, some releases of which ignore such settings (17.1 does)"
        );
    }
    match verify_sql {
        Some(sql) => verify(session, sql).await,
        None => Ok(()),
    }
}

/// Refuses the session of another user: a pooler may have changed the user.
pub(super) fn is(session: &Session) -> Result<(), EngineError> {
    match session.session_user == session.user {
        true => Ok(()),
        false => Err(not(session, "the session is another user's")),
    }
}

fn not(session: &Session, what: &'static str) -> EngineError {
    EngineError::NotAsExpected {
        server: session.server.clone(),
        user: session.user.clone(),
        what,
    }
}

/// Runs `VERIFY_SQL`, as testSecret does.
pub(super) async fn verify(session: &Session, sql: &str) -> Result<(), EngineError> {
    let doing = Doing::new("verify the credential");
    let begin = pin::begin_reading(session.limits);
    session.run(&begin, doing).await?;
    match timeout(session.limits.statement, session.client.batch_execute(sql)).await {
        Ok(Ok(())) => session.run("ROLLBACK", doing).await,
        Ok(Err(error)) => Err(match error.as_db_error() {
            // VERIFY_SQL is the operator's, and holds no secret: the server's message helps
            Some(answer) => EngineError::VerifyFailed {
                server: session.server.clone(),
                user: session.user.clone(),
                code: answer.code().code().to_owned(),
                message: answer.message().to_owned(),
            },
            None => session.failed(&error, doing, sql).await,
        }),
        Err(_) => Err(session.timed_out()),
    }
}
