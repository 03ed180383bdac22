//! One role whose password is replaced.
//!
//! There is no overlap: a role has one password, and PostgreSQL ends the old one at once for new connections.
//! Between setSecret and finishSecret AWSCURRENT does not log in, and a client goes to AWSPENDING.

use std::time::SystemTime;

use tokio::join;

use super::{
    Postgres, Session,
    administrator::{self, Altering},
    catalogs,
    change::Change,
    errors::Doing,
    facts,
    instance::same_instance,
    locks, obstacles, roles,
};
use crate::{
    document::{Document, Pair},
    engine::{Ended, EngineError},
};

/// The role changes its own password, which needs no right but to log in; or the administrator does, where no role may.
pub(super) async fn change<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    proven: Session,
    administrator: Option<&Document>,
    current: &Document,
    wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
) -> Result<Option<SystemTime>, E> {
    let user = current.username();
    let hashing = postgres.settings.hashing;
    let md5 = postgres.keeps_md5(&proven);
    let session = match administrator {
        None => proven,
        Some(administrator) => {
            let session = administrator::log_in(postgres, administrator).await?;
            same_instance(&proven, &session).await?;
            session
        }
    };
    // no pair: under single user a role with this name and _clone belongs to another application
    let pair = Pair {
        base: user.to_owned(),
        clone: user.to_owned(),
    };
    let prepare = async || prepare(&session, user, md5).await;
    let change = locks::past_its_own(&session, &pair, prepare).await?;
    let Some((change, pending)) = change.pending(wanted, user).await? else {
        return Ok(None);
    };
    let sql = roles::change_password(user, pending.password(), hashing, md5);
    let altering = Altering::new(&session, "change the password of", user);
    let doing = match administrator {
        None => Doing::new("replace its own password"),
        Some(_) => altering.doing(),
    };
    match change.commit(&sql, doing).await {
        Err(error @ EngineError::Locked { .. }) => {
            // then the repeated step succeeds
            locks::end_holders(&session, &pair).await.ok();
            Err(error.into())
        }
        done => Ok(done.map(|()| None)?),
    }
}

/// Changes everything except the password.
async fn prepare<'a>(
    session: &'a Session,
    user: &str,
    md5: bool,
) -> Result<Change<'a>, EngineError> {
    let change = Change::begin(session, user).await?;
    let users = [user];
    let (changer, known) = join!(facts::changer(session), facts::roles(session, &users));
    let (changer, known) = (changer?, known?);
    let mut found: Vec<_> = md5
        .then(|| obstacles::kept_as_md5(user))
        .into_iter()
        .collect();
    let Some(role) = known.first() else {
        return Ok(change);
    };
    found.extend(obstacles::of_one(&changer, role));
    obstacles::refuse_or_warn(&session.server, found)?;
    if changer.user != user && role.ends.is_some() {
        change.lift_end(user).await?;
    }
    Ok(change)
}

/// The role ends its own sessions, which needs no right. A login with the old password that had begun may succeed later.
pub(super) async fn revoke(
    session: &Session,
    begun_before: SystemTime,
) -> Result<Ended, EngineError> {
    let doing = Doing::new("end its own sessions");
    let ended = catalogs::end_sessions(session, &session.user, Some(begun_before), doing).await?;
    Ok(Ended {
        sessions: ended.len() as u64,
        late: catalogs::late(session, begun_before, doing).await?,
    })
}
