//! Two roles that take turns: while one is current, the other gets a new password.
//!
//! So there is a real overlap: the old user's password goes on until its bound, which PostgreSQL itself enforces
//! (`VALID UNTIL`). It needs an administrator, for a role cannot bound itself.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use secrecy::SecretString;

use super::{
    Postgres, Session,
    change::Change,
    errors::{Doing, READS},
    facts::{self, Facts},
    instance::same_instance,
    locks, login_of, obstacles, pin,
    roles::{self, Alteration},
    session::Purpose,
};
use crate::{
    document::{Document, Overlap, Pair},
    engine::{Ended, EngineError, Login, Obstacle, Promotion, Retiring, Whose},
    settings::PasswordHashing,
};

/// How often a setting is tried again that the clone itself has altered while this waited for it.
const ALTERED_MEANWHILE: u32 = 3;

/// What PostgreSQL keeps of a name, in bytes (NAMEDATALEN - 1).
const LONGEST_NAME: usize = 63;

/// The pair of roles that a user's name belongs to.
pub(super) fn pair(user: &str) -> Result<Pair, EngineError> {
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
    let pair = pair(current.username())?;
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
    let pair = pair(current.username())?;
    let other = pair.other_than(current.username());
    let session = log_in(postgres, administrator).await?;
    same_instance(proven, &session).await?;
    let owner = login_of(current)?.owner();
    let md5 = proven.md5 && postgres.settings.hashing != PasswordHashing::Scram;
    // the session that proves the server may be of the other user: it is no other's connection
    let own = i64::from(proven.user == other);
    let prepare = async || prepare(&session, &pair, other, own, owner, md5).await;
    let (change, promised) = locks::past_its_own(&session, &pair, prepare).await?;
    let Some(pending) = change.asked(wanted).await? else {
        change.roll_back().await?;
        return Ok(None);
    };
    if pending.username() != other {
        return Err(EngineError::AnotherUser {
            label: "AWSPENDING",
            user: pending.username().to_owned(),
            expected: other.to_owned(),
        }
        .into());
    }
    let hashing = postgres.settings.hashing;
    let sql = roles::change_password(other, pending.password(), hashing, md5);
    let altering = Altering::new(&session, "alter", other);
    change.commit(&sql, altering.doing()).await?;
    postgres.kept.keep(administrator, current, session).await;
    Ok(promised)
}

/// Does all but the password; and tells until when the other user's old one was promised, if that is yet to come.
async fn prepare<'a>(
    session: &'a Session,
    pair: &Pair,
    other: &str,
    own_connections: i64,
    owner: Option<&str>,
    md5: bool,
) -> Result<(Change<'a>, Option<SystemTime>), EngineError> {
    let change = Change::begin(session, &pair.base).await?;
    let mut facts = facts::pair(session, pair, owner).await?;
    let known = [facts.base.as_mut(), facts.clone.as_mut()];
    for role in known
        .into_iter()
        .flatten()
        .filter(|role| role.name == other)
    {
        role.connections -= own_connections;
    }
    let mut found = obstacles::of_a_pair(&facts, pair, other);
    found.extend(md5.then(|| obstacles::kept_as_md5(other)));
    let known = [facts.base.as_ref(), facts.clone.as_ref()];
    let role = known.into_iter().flatten().find(|role| role.name == other);
    found.extend(role.and_then(obstacles::opened));
    heed(&session.server, found)?;
    let promised = follow(session, &facts, pair, other).await?;
    Ok((change, promised))
}

/// Goes past the obstacles that only warn, and says so; the others are an error.
pub(super) fn heed(server: &str, found: Vec<Obstacle>) -> Result<(), EngineError> {
    let (stops, warns): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.stops);
    for obstacle in warns {
        tracing::warn!(kind = obstacle.kind, server, "{obstacle}");
    }
    let mut stops = stops.into_iter();
    match stops.next() {
        None => Ok(()),
        Some(first) => Err(EngineError::Obstacle {
            server: server.to_owned(),
            first: Box::new(first),
            others: stops.collect(),
        }),
    }
}

/// Bounds the replaced role's password, if `promote` says so while nobody else can change it.
///
/// The successor's credential is read where the administrator has to log in: it is the proof that this is the right server.
pub(super) async fn retire<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    retiring: &Retiring<'_>,
    read: &impl AsyncFn(Whose) -> Result<Document, E>,
    promote: impl AsyncFnOnce() -> Result<Promotion, E>,
) -> Result<Promotion, E> {
    let administrator = read(Whose::Administrator).await?;
    if let Some(session) = postgres.kept.take(&administrator, retiring.replaced) {
        match session.run("", READS).await {
            // closed meanwhile, with or without a word (57P01, 57P05)
            Err(EngineError::Unreachable { .. }) => {}
            Err(EngineError::Refused { code, .. }) if code.starts_with("57P") => {}
            alive => {
                alive?;
                return bound(&session, retiring, promote).await;
            }
        }
    }
    let proven = match postgres.kept.take_proven(retiring.version) {
        Some(proven) => proven,
        None => {
            let successor = read(Whose::Successor).await?;
            match postgres.connect(&successor, Purpose::Owner).await? {
                Login::Accepted(session) => session,
                Login::Rejected => {
                    return Err(EngineError::SuccessorRejected {
                        server: successor.server(),
                        user: successor.username().to_owned(),
                    }
                    .into());
                }
            }
        }
    };
    let session = log_in(postgres, &administrator).await?;
    same_instance(&proven, &session).await?;
    // it tells those who listen
    postgres.kept.keep_proven(retiring.version, proven).await;
    bound(&session, retiring, promote).await
}

/// Both ends are set before the promotion, and stay if it is made: whatever keeps them from being set keeps it back too.
async fn bound<E: From<EngineError>>(
    session: &Session,
    retiring: &Retiring<'_>,
    promote: impl AsyncFnOnce() -> Result<Promotion, E>,
) -> Result<Promotion, E> {
    let user = retiring.replaced.username();
    let pair = pair(user)?;
    let ends = async || {
        let change = Change::begin(session, &pair.base).await?;
        are_a_pair(session, &pair).await?;
        end_of_the_old(session, &change, user, retiring.window).await?;
        no_end_of_the_new(session, &change, pair.other_than(user)).await?;
        Ok(change)
    };
    let change = locks::past_its_own(session, &pair, ends).await?;
    let promotion = change.asked(promote).await?;
    match promotion {
        Promotion::Now | Promotion::Before => change.keep().await?,
        Promotion::Outdated => change.roll_back().await?,
    }
    Ok(promotion)
}

/// Who may write the secret can have versions that name a role which is only called like the other user: nothing of it is ended.
async fn are_a_pair(session: &Session, pair: &Pair) -> Result<(), EngineError> {
    let namesakes = facts::namesakes(session, pair).await?;
    let found = namesakes.map(|namesakes| obstacles::no_pair(pair, namesakes));
    heed(&session.server, found.into_iter().collect())
}

async fn end_of_the_old(
    session: &Session,
    change: &Change<'_>,
    user: &str,
    window: Option<Duration>,
) -> Result<(), EngineError> {
    let Some(window) = window else {
        return Ok(());
    };
    let altering = Altering::new(session, "bound", user);
    // VALID UNTIL takes a literal only, so the server's clock is asked first
    match roles::bound(session, user, window, altering.doing()).await? {
        Some(until) => {
            change
                .run(&roles::valid_until(user, &until), altering.doing())
                .await
        }
        None => Ok(()),
    }
}

/// setSecret has lifted it, unless that was AWS's function: it would lock the application out within the window.
async fn no_end_of_the_new(
    session: &Session,
    change: &Change<'_>,
    user: &str,
) -> Result<(), EngineError> {
    let found = facts::roles(session, &[user]).await?;
    let Some(until) = found.first().and_then(|role| role.ends.as_ref()) else {
        return Ok(());
    };
    tracing::warn!(
        user,
        until,
        "the new credential was to end (VALID UNTIL): that is lifted"
    );
    let altering = Altering::new(session, "alter", user);
    change.run(&roles::no_end(user), altering.doing()).await
}

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
    let pair = pair(user)?;
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
    // who had begun to log in is refused at the end: the role may not
    Ok(Ended {
        sessions,
        late: None,
    })
}

/// After the password, so that none begins in between; and once more, for one that was just about to show itself.
async fn end_sessions(session: &Session, user: &str) -> Result<u64, EngineError> {
    let ends = Doing {
        action: &format!("end the sessions of {user}"),
        cure: &roles::grant("pg_signal_backend", &session.user),
    };
    let mut ended = BTreeSet::new();
    for _ in 0..2 {
        session.run(&pin::begin(session), ends).await?;
        ended.extend(roles::end_sessions(session, user, None, ends).await?);
        session.run("COMMIT", ends).await?;
    }
    Ok(ended.len() as u64)
}

pub(super) async fn log_in(
    postgres: &Postgres<'_>,
    administrator: &Document,
) -> Result<Session, EngineError> {
    match postgres
        .connect(administrator, Purpose::Administrator)
        .await?
    {
        Login::Accepted(session) => session.takes_changes().map(|()| session),
        Login::Rejected => Err(EngineError::AdministratorRejected {
            server: administrator.server(),
            user: administrator.username().to_owned(),
        }),
    }
}

/// What is done to a role, for the error that names what an administrator lacks.
pub(super) struct Altering<'a> {
    session: &'a Session,
    action: String,
    cure: String,
}

impl<'a> Altering<'a> {
    pub(super) fn new(session: &'a Session, action: &str, role: &str) -> Self {
        Self {
            session,
            action: format!("{action} {role}"),
            cure: roles::allow(&session.user, role),
        }
    }

    pub(super) fn doing(&self) -> Doing<'_> {
        Doing {
            action: &self.action,
            cure: &self.cure,
        }
    }

    async fn run(&self, sql: &str) -> Result<(), EngineError> {
        self.session.run(sql, self.doing()).await
    }
}

/// Opens the other user, and has it follow the base if it is the clone. Nothing of the base is set back.
async fn follow(
    session: &Session,
    facts: &Facts,
    pair: &Pair,
    other: &str,
) -> Result<Option<SystemTime>, EngineError> {
    let Pair { base, clone } = pair;
    let altering = |action, role| Altering::new(session, action, role);
    if other != clone {
        altering("alter", base)
            .run(&roles::unlock(base, None))
            .await?;
        if let Some(owner) = &facts.owner {
            altering("alter", base)
                .run(&roles::act_as(base, &owner.name))
                .await?;
        }
        return Ok(facts.base.as_ref().and_then(|role| role.promised));
    }
    if facts.clone.is_none() {
        altering("create", clone).run(&roles::create(clone)).await?;
    }
    let limit = facts.base.as_ref().map(|base| base.connection_limit);
    altering("alter", clone)
        .run(&roles::unlock(clone, limit))
        .await?;
    if !facts.membership_is_whole {
        let with_options = facts.changer.version >= facts::ADMIN_OPTION_SINCE;
        let grant = roles::grant_whole(base, clone, with_options);
        altering("grant", base).run(&grant).await?;
    }
    let as_itself = facts.goes_on_as_itself();
    for alteration in roles::reconcile_settings(clone, &facts.wanted, &facts.present) {
        let name = alteration.parameter;
        let forbidden = facts.forbidden.iter().any(|forbidden| forbidden == name);
        let left_out = forbidden || as_itself && name == "role";
        if !left_out {
            try_to(session, clone, &alteration, &altering("alter", clone)).await?;
        }
    }
    Ok(facts.clone.as_ref().and_then(|role| role.promised))
}

/// A setting that the server does not take for the clone is left out, or the role itself could keep its credential from being
/// rotated: a library that knows it is loaded only where the role is at work.
async fn try_to(
    session: &Session,
    clone: &str,
    alteration: &Alteration<'_>,
    altering: &Altering<'_>,
) -> Result<(), EngineError> {
    let tried = format!("SAVEPOINT setting; {}; RELEASE setting", alteration.sql);
    let mut tries = ALTERED_MEANWHILE;
    let error = loop {
        match altering.run(&tried).await {
            Err(EngineError::Refused { code, .. }) if code == locks::CONCURRENTLY && tries > 0 => {
                tries -= 1;
                altering.run("ROLLBACK TO setting").await?;
            }
            Err(
                error @ (EngineError::AdministratorForbidden { .. } | EngineError::Refused { .. }),
            ) if !session.client.is_closed() && !locks::is_deadlock(&error) => break error,
            // after a deadlock all is begun anew
            done => return done,
        }
    };
    altering.run("ROLLBACK TO setting").await?;
    let name = alteration.parameter;
    if alteration.resets {
        let kept = Obstacle::warns(
            "NotReset",
            format!(
                "{clone} keeps a setting {name} that its base role has not, and the server does not let the administrator reset it ({error})"
            ),
            "as a superuser, run",
            vec![alteration.sql.clone()],
        );
        return heed(&session.server, vec![kept]);
    }
    // its value may be a secret of the application's
    tracing::warn!(
        kind = "NotCopied",
        setting = name,
        %error,
        "the clone does not get this setting of the base role: where it matters, set it for that role too, as a superuser"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_57_bytes_has_a_clone_and_one_of_58_is_refused() {
        assert!(pair(&"x".repeat(57)).is_ok());
        assert!(pair(&format!("{}_clone", "x".repeat(57))).is_ok());
        let refused = pair(&"ü".repeat(29)).err().unwrap();
        assert_eq!(refused.error_type(), "UserNameTooLong");
    }
}
