//! One role whose password is replaced.
//!
//! There is no overlap: a role has one password, and PostgreSQL ends the old one at once for new connections.
//! Between setSecret and finishSecret AWSCURRENT does not log in, and a client goes to AWSPENDING.

use std::time::SystemTime;

use super::{
    Postgres, Session,
    alternating_users::{self, Altering},
    change::Change,
    errors::Doing,
    instance::same_instance,
    roles,
};
use crate::{document::Document, engine::EngineError};

/// The role changes its own password, which needs no right but to log in; or the administrator does, where no role may.
pub(super) async fn change<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    proven: Session,
    administrator: Option<&Document>,
    current: &Document,
    wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
) -> Result<(), E> {
    let session = match administrator {
        None => proven,
        Some(administrator) => {
            let session = alternating_users::log_in(postgres, administrator).await?;
            same_instance(&proven, &session).await?;
            session
        }
    };
    let user = current.username();
    let change = Change::begin(&session, user).await?;
    let Some(pending) = change.asked(wanted).await? else {
        return Ok(change.roll_back().await?);
    };
    if pending.username() != user {
        return Err(EngineError::AnotherUser {
            label: "AWSPENDING",
            user: pending.username().to_owned(),
            expected: user.to_owned(),
        }
        .into());
    }
    let sql = roles::change_password(user, pending.password(), postgres.settings.hashing);
    let altering = Altering::new(&session, "change the password of", user);
    let doing = match administrator {
        None => Doing::new("replace its own password"),
        Some(_) => altering.doing(),
    };
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
