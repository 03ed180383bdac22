//! Two roles that take turns: while one is current, the other gets a new password.
//!
//! So there is a real overlap: the old user's password goes on until its bound, which PostgreSQL itself enforces
//! (`VALID UNTIL`). It needs an administrator, for a role cannot bound itself.

use std::time::Duration;

use secrecy::SecretString;

use super::{
    Postgres, Session, change::Change, errors::Doing, instance::same_instance, login_of, pin,
    roles, session::Purpose,
};
use crate::{
    document::{Document, Overlap, Pair},
    engine::{EngineError, Login, Promotion, Retiring, Whose},
};

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

/// Gives the other role the new password and all that the current one has, in one transaction.
pub(super) async fn change<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    proven: &Session,
    administrator: &Document,
    current: &Document,
    wanted: impl AsyncFnOnce() -> Result<Option<Document>, E>,
) -> Result<(), E> {
    let pair = pair(current.username())?;
    let other = pair.other_than(current.username());
    let session = log_in(postgres, administrator).await?;
    same_instance(proven, &session).await?;
    let change = Change::begin(&session, &pair.base).await?;
    let limit = make_like(&session, current, &pair).await?;
    let Some(pending) = change.asked(wanted).await? else {
        return Ok(change.roll_back().await?);
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
    let open = roles::open(other, limit, pending.password(), hashing);
    let altering = Altering::new(&session, "alter", other);
    change.commit(&open, altering.doing()).await?;
    postgres.kept.keep(administrator, current, session).await;
    Ok(())
}

/// Bounds the replaced role's password, if `promote` says so while nobody else can change it.
///
/// The successor's credential is read where the administrator has to log in: it is the proof that this is the right server.
pub(super) async fn retire<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    retiring: &Retiring<'_>,
    window: Duration,
    read: &impl AsyncFn(Whose) -> Result<Document, E>,
    promote: impl AsyncFnOnce() -> Result<Promotion, E>,
) -> Result<Promotion, E> {
    let administrator = read(Whose::Administrator).await?;
    let base = pair(retiring.replaced.username())?.base;
    if let Some(session) = postgres.kept.take(&administrator, retiring.replaced) {
        match Change::begin(&session, &base).await {
            // closed meanwhile, with or without a word (57P01, 57P05): nothing was asked yet
            Err(EngineError::Unreachable { .. }) => {}
            Err(EngineError::Refused { code, .. }) if code.starts_with("57P") => {}
            begun => return bound(&session, begun?, retiring, window, promote).await,
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
    let change = Change::begin(&session, &base).await?;
    bound(&session, change, retiring, window, promote).await
}

async fn bound<E: From<EngineError>>(
    session: &Session,
    change: Change<'_>,
    retiring: &Retiring<'_>,
    window: Duration,
    promote: impl AsyncFnOnce() -> Result<Promotion, E>,
) -> Result<Promotion, E> {
    let user = retiring.replaced.username();
    let altering = Altering::new(session, "bound", user);
    // VALID UNTIL takes a literal only, so the server's clock is asked first
    let until = roles::bound(session, user, window, altering.doing()).await?;
    let promotion = change.asked(promote).await?;
    match until {
        Some(until) if promotion != Promotion::Outdated => {
            let bound = roles::valid_until(user, &until);
            change.commit(&bound, altering.doing()).await?;
        }
        _ => change.roll_back().await?,
    }
    Ok(promotion)
}

/// Ends the other user's password and sessions, if that is still wanted.
pub(super) async fn revoke<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    proven: &Session,
    administrator: &Document,
    user: &str,
    wanted: impl AsyncFnOnce() -> Result<(), E>,
) -> Result<u64, E> {
    let session = log_in(postgres, administrator).await?;
    same_instance(proven, &session).await?;
    let change = Change::begin(&session, &pair(user)?.base).await?;
    change.asked(wanted).await?;
    if roles::connection_limit(&session, user).await?.is_none() {
        change.roll_back().await?;
        return Ok(0);
    }
    let altering = Altering::new(&session, "alter", user);
    change.commit(&roles::end(user), altering.doing()).await?;
    // after the password, so that none begins in between
    let ends = Doing {
        action: &format!("end the sessions of {user}"),
        cure: &roles::grant("pg_signal_backend", &session.user),
    };
    session.run(&pin::begin(&session), ends).await?;
    let ended = roles::end_sessions(&session, user, None, ends).await?;
    session.run("COMMIT", ends).await?;
    Ok(ended)
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

/// Gives the other user all that the current one has, but for a password, and tells how many connections that one may have.
async fn make_like(session: &Session, current: &Document, pair: &Pair) -> Result<i32, EngineError> {
    let Pair { base, clone } = pair;
    let (from, to) = (current.username(), pair.other_than(current.username()));
    let altering = |action, role| Altering::new(session, action, role);
    let limit = roles::connection_limit(session, from).await?;
    if roles::connection_limit(session, to).await?.is_none() {
        altering("create", to).run(&roles::create(to)).await?;
    } else if !roles::memberships(session, clone).await?.contains(base) {
        return Err(EngineError::NoPair {
            server: session.server.clone(),
            user: to.to_owned(),
            base: base.clone(),
            clone: clone.clone(),
            cure: roles::grant(base, clone),
        });
    }

    // what the clone creates belongs to the base role, or both users' to a role that nobody logs in as
    let owner = login_of(current)?.owner().unwrap_or(base);
    let mut wanted = roles::memberships(session, from).await?;
    if owner != base && !wanted.iter().any(|role| role == owner) {
        return Err(EngineError::OwnerNotGranted {
            server: session.server.clone(),
            user: from.to_owned(),
            owner: owner.to_owned(),
            cure: roles::grant(owner, from),
        });
    }
    wanted.extend([owner, base].map(str::to_owned));
    wanted.retain(|role| role != to && role != clone);
    wanted.sort();
    wanted.dedup();
    let present = roles::memberships(session, to).await?;
    for role in wanted.iter().filter(|role| !present.contains(role)) {
        let grant = roles::grant(role, to);
        altering("grant", role).run(&grant).await?;
    }

    let has = roles::settings(session, to).await?;
    let wants = roles::settings(session, from).await?;
    for (name, sql) in roles::reconcile_settings(to, &wants, &has) {
        try_to(session, &name, &sql, &altering("alter", to)).await?;
    }
    if to != owner {
        let acts_as_owner = has.iter().any(|setting| setting.name == "role");
        if !acts_as_owner && roles::owns_objects(session, to).await? {
            tracing::warn!(
                role = to,
                "the role owns objects, so it goes on acting as itself: give them to their owner with REASSIGN \
                 OWNED, and the next rotation has what it creates belong to the owner"
            );
        } else {
            altering("alter", to).run(&roles::act_as(to, owner)).await?;
        }
    }
    Ok(limit.unwrap_or(-1))
}

/// What a role may set for itself its administrator may not always set for another one (a parameter of a library that is loaded
/// where the role is at work): then it is left out, or the role itself could keep its credential from being rotated. What only a
/// superuser can have set is not left out.
async fn try_to(
    session: &Session,
    name: &str,
    sql: &str,
    altering: &Altering<'_>,
) -> Result<(), EngineError> {
    let tried = format!("SAVEPOINT setting; {sql}; RELEASE setting");
    let error =
        match altering.run(&tried).await {
            Err(
                error @ (EngineError::AdministratorForbidden { .. } | EngineError::Refused { .. }),
            ) if !session.client.is_closed() => error,
            done => return done,
        };
    altering.run("ROLLBACK TO setting").await?;
    if roles::is_a_superusers(session, name).await? {
        return Err(EngineError::AdministratorForbidden {
            server: session.server.clone(),
            user: session.user.clone(),
            action: format!("set {name}"),
            cure: sql.to_owned(),
        });
    }
    // its value may be a secret of the application's
    tracing::warn!(
        setting = name,
        %error,
        "the other user does not get this setting: where it matters, make it for that user too, as a superuser"
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
