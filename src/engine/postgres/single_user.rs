//! One role whose password is replaced.
//!
//! There is no overlap: a role has one password, and PostgreSQL ends the old one at once for new connections.
//! Between setSecret and finishSecret AWSCURRENT does not log in, and a client goes to AWSPENDING.

use std::time::SystemTime;

use super::{Session, change::Change, errors::Doing, roles};
use crate::{document::Document, engine::EngineError, settings::PasswordHashing};

/// The role changes its own password, which needs no right but to log in.
pub(super) async fn change<E: From<EngineError>>(
    session: &Session,
    hashing: PasswordHashing,
    wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
) -> Result<(), E> {
    let change = Change::begin(session, &session.user).await?;
    let Some(pending) = change.asked(wanted).await? else {
        return Ok(change.roll_back().await?);
    };
    if pending.username() != session.user {
        let (user, expected) = (pending.username().to_owned(), session.user.clone());
        let label = "AWSPENDING";
        return Err(EngineError::AnotherUser {
            label,
            user,
            expected,
        }
        .into());
    }
    let sql = roles::change_password(&session.user, pending.password(), hashing);
    let doing = Doing::new("replace its own password");
    Ok(change.commit(&sql, doing).await?)
}

/// The role ends its own sessions, which needs no right.
pub(super) async fn revoke(
    session: &Session,
    begun_before: SystemTime,
) -> Result<u64, EngineError> {
    let doing = Doing::new("end its own sessions");
    roles::end_sessions(session, &session.user, Some(begun_before), doing).await
}
