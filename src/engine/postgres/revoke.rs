//! revokeSecret for alternating users: the other user's password and its sessions end.

use std::collections::BTreeSet;

use super::{
    Postgres, Session,
    administrator::{Altering, log_in},
    alternating_users::pair_of,
    catalogs,
    change::Change,
    errors::Doing,
    facts,
    instance::same_instance,
    locks, pin,
    retire::are_a_pair,
    roles,
};
use crate::{
    document::Document,
    engine::{Ended, EngineError},
};

/// Ends the other user's password and sessions, if that is still wanted.
pub(super) async fn revoke<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    proven: &Session,
    administrator: &Document,
    user: &str,
    wanted: impl AsyncFnOnce() -> Result<(), E>,
) -> Result<Ended, E> {
    let session = log_in(postgres, administrator).await?;
    same_instance(proven, &session).await?;
    let pair = pair_of(user)?;
    let end = async || {
        let change = Change::begin(&session, &pair.base).await?;
        are_a_pair(&session, &pair).await?;
        let exists = !facts::roles(&session, &[user]).await?.is_empty();
        if exists {
            let altering = Altering::new(&session, "alter", user);
            change.run(&roles::end(user), altering.doing()).await?;
        }
        Ok((change, exists))
    };
    let (change, exists) = locks::past_its_own(&session, &pair, end).await?;
    change.asked(wanted).await?;
    change.keep().await?;
    let sessions = match exists {
        true => end_sessions(&session, user).await?,
        false => 0,
    };
    // a login that had begun is refused at its end: the role may not log in
    Ok(Ended {
        sessions,
        late: None,
    })
}

/// Comes after the password's end, so that no session begins in between; and once more, for a session that was about to appear.
async fn end_sessions(session: &Session, user: &str) -> Result<u64, EngineError> {
    let ends = Doing {
        action: &format!("end the sessions of {user}"),
        cure: &roles::grant("pg_signal_backend", &session.user),
    };
    let mut ended = BTreeSet::new();
    for _ in 0..2 {
        session.run(&pin::begin(session), ends).await?;
        ended.extend(catalogs::end_sessions(session, user, None, ends).await?);
        session.run("COMMIT", ends).await?;
    }
    Ok(ended.len() as u64)
}
