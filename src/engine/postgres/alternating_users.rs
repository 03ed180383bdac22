//! Two roles that take turns: while one is current, the other gets a new password.
//!
//! So there is a real overlap: the old user's password stays valid until its end, which PostgreSQL itself enforces (`VALID
//! UNTIL`). It needs an administrator, because a role cannot set its own end.

use std::time::SystemTime;

use secrecy::SecretString;

use super::{
    Postgres, Session,
    administrator::{Altering, log_in},
    change::Change,
    follow::follow,
    instance::same_instance,
    locks, login_of, obstacles, pair, roles,
};
use crate::{
    document::{Document, Overlap, Pair},
    engine::EngineError,
};

/// How much of a name PostgreSQL keeps, in bytes (NAMEDATALEN - 1).
const LONGEST_NAME: usize = 63;

/// The pair of roles that a user's name belongs to.
pub(super) fn pair_of(user: &str) -> Result<Pair, EngineError> {
    let pair = Pair::of(user);
    if pair.clone.len() > LONGEST_NAME {
        return Err(EngineError::NameTooLong { user: pair.clone });
    }
    Ok(pair)
}

/// The other user with a new password.
pub(super) fn propose(
    current: &Document,
    password: SecretString,
    overlap: Overlap,
) -> Result<Document, EngineError> {
    let pair = pair_of(current.username())?;
    let other = pair.other_than(current.username()).to_owned();
    Ok(current.with_user(other, password, overlap))
}

/// Gives the other role the new password, and the clone all that the base has, in one transaction.
pub(super) async fn change<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    proven: &Session,
    administrator: &Document,
    current: &Document,
    wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
) -> Result<Option<SystemTime>, E> {
    let pair = pair_of(current.username())?;
    let other = pair.other_than(current.username());
    let session = log_in(postgres, administrator).await?;
    same_instance(proven, &session).await?;
    let owner = login_of(current)?.owner();
    let md5 = postgres.keeps_md5(proven);
    // the session that proves the server may be the other user's: it does not count as an application's connection
    let own = i64::from(proven.user == other);
    let prepare = async || prepare(&session, &pair, other, own, owner, md5).await;
    let (change, promised) = locks::past_its_own(&session, &pair, prepare).await?;
    let Some((change, pending)) = change.pending(wanted, other).await? else {
        return Ok(None);
    };
    let hashing = postgres.settings.hashing;
    let sql = roles::change_password(other, pending.password(), hashing, md5);
    let altering = Altering::new(&session, "alter", other);
    change.commit(&sql, altering.doing()).await?;
    postgres.kept.keep(administrator, current, session).await;
    Ok(promised)
}

/// Changes everything except the password. Returns the promised end of the other user's old password, if that time is still ahead.
async fn prepare<'a>(
    session: &'a Session,
    pair: &Pair,
    other: &str,
    own_connections: i64,
    owner: Option<&str>,
    md5: bool,
) -> Result<(Change<'a>, Option<SystemTime>), EngineError> {
    let change = Change::begin(session, &pair.base).await?;
    let mut facts = pair::of(session, pair, owner).await?;
    if let Some(role) = facts.role_mut(other) {
        role.connections -= own_connections;
    }
    let mut found = obstacles::of_a_pair(&facts, pair, other);
    found.extend(md5.then(|| obstacles::kept_as_md5(other)));
    found.extend(facts.role(other).and_then(obstacles::opened));
    obstacles::refuse_or_warn(&session.server, found)?;
    follow(session, &facts, pair, other).await?;
    Ok((change, facts.role(other).and_then(|role| role.promised)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_57_bytes_has_a_clone_and_one_of_58_is_refused() {
        assert!(pair_of(&"x".repeat(57)).is_ok());
        assert!(pair_of(&format!("{}_clone", "x".repeat(57))).is_ok());
        let refused = pair_of(&"ü".repeat(29)).err().unwrap();
        assert_eq!(refused.error_type(), "UserNameTooLong");
    }
}
