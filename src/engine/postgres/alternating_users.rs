//! Two roles that take turns: while one is current, the other gets a new password.
//!
//! So there is a real overlap: the old user's password goes on until its bound, which PostgreSQL itself enforces
//! (`VALID UNTIL`). It needs an administrator, for a role cannot bound itself. The names are those of AWS's own
//! function, `app` and `app_clone`, so that either function can go on where the other stopped.

use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;

use super::{Limits, Postgres, Session, connect::classify_statement, roles};
use crate::{
    document::{Document, Overlap},
    engine::{EngineError, Login},
    settings::PasswordHashing,
};

const SUFFIX: &str = "_clone";
/// What PostgreSQL keeps of a name, in bytes (NAMEDATALEN - 1).
const LONGEST_NAME: usize = 63;

/// The pair of roles that a user's name belongs to.
pub(super) struct Pair {
    pub(super) base: String,
    pub(super) clone: String,
}

impl Pair {
    pub(super) fn of(user: &str) -> Result<Self, EngineError> {
        let base = user
            .strip_suffix(SUFFIX)
            .filter(|base| !base.is_empty())
            .unwrap_or(user)
            .to_owned();
        let clone = format!("{base}{SUFFIX}");
        if clone.len() > LONGEST_NAME {
            return Err(EngineError::NameTooLong { user: clone });
        }
        Ok(Self { base, clone })
    }

    pub(super) fn other_than(self, user: &str) -> String {
        if user == self.base {
            self.clone
        } else {
            self.base
        }
    }
}

/// The other user with a new password.
pub(super) fn propose(
    current: &Document,
    password: SecretString,
    overlap: Overlap,
) -> Result<Document, EngineError> {
    let other = Pair::of(current.username())?.other_than(current.username());
    Ok(current.with_user(other, password, overlap))
}

/// Gives the other role the new password and all that the current one has, in one transaction.
pub(super) async fn change(
    postgres: &Postgres<'_>,
    proven: &Session,
    administrator: &Document,
    current: &Document,
    pending: &Document,
) -> Result<(), EngineError> {
    let expected = Pair::of(current.username())?.other_than(current.username());
    if pending.username() != expected {
        return Err(EngineError::AnotherUser {
            user: pending.username().to_owned(),
            expected,
        });
    }
    let session = log_in(postgres, administrator).await?;
    same_cluster(proven, &session).await?;
    let work = open(
        &session,
        current,
        pending,
        postgres.settings.hashing,
        postgres.limits,
    );
    within(postgres.limits, &session, work).await?;
    postgres.kept.keep(administrator, current, session);
    Ok(())
}

/// Bounds the retired role's password.
pub(super) async fn retire(
    postgres: &Postgres<'_>,
    administrator: &Document,
    retired: &Document,
    window: Duration,
) -> Result<(), EngineError> {
    let bound = async |session: &Session| {
        let work = bound(session, retired.username(), window, postgres.limits);
        within(postgres.limits, session, work).await
    };
    if let Some(session) = postgres.kept.take(administrator, retired) {
        match bound(&session).await {
            // closed meanwhile, with or without a word (57P01, 57P05): to bound is to be repeated at no cost
            Err(EngineError::Unreachable { .. }) => {}
            Err(EngineError::Refused { code, .. }) if code.starts_with("57P") => {}
            done => return done,
        }
    }
    bound(&log_in(postgres, administrator).await?).await
}

/// Ends the other user's password and sessions.
pub(super) async fn revoke(
    postgres: &Postgres<'_>,
    proven: &Session,
    administrator: &Document,
    user: &str,
) -> Result<u64, EngineError> {
    let session = log_in(postgres, administrator).await?;
    same_cluster(proven, &session).await?;
    let mut sessions = 0;
    let work = async {
        let base = Pair::of(user)?.base;
        let sql = format!(
            "{}; {}; COMMIT",
            roles::begin(&base, postgres.limits.statement),
            roles::end(user)
        );
        let ended = session.client.batch_execute(&sql).await;
        ended.map_err(|error| {
            classify_statement(
                &error,
                &session,
                &format!("alter {user}"),
                &roles::allow(&session.user, user),
            )
        })?;
        // after the password, so that none begins in between
        let ended = roles::end_sessions(&session.client, user, None).await;
        let cure = roles::grant("pg_signal_backend", &session.user);
        let action = format!("end the sessions of {user}");
        sessions = ended.map_err(|error| classify_statement(&error, &session, &action, &cure))?;
        Ok(())
    };
    within(postgres.limits, &session, work).await?;
    Ok(sessions)
}

pub(super) async fn log_in(
    postgres: &Postgres<'_>,
    administrator: &Document,
) -> Result<Session, EngineError> {
    match postgres.connect(administrator).await? {
        Login::Accepted(session) if session.standby => Err(EngineError::Standby {
            server: session.server.clone(),
        }),
        Login::Accepted(session) => Ok(session),
        Login::Rejected => Err(EngineError::AdministratorRejected {
            server: administrator.server(),
            user: administrator.username().to_owned(),
        }),
    }
}

/// The whole of the work may take what one statement may: it is a handful of them, on catalogs.
pub(super) async fn within(
    limits: Limits,
    session: &Session,
    work: impl Future<Output = Result<(), EngineError>>,
) -> Result<(), EngineError> {
    timeout(limits.statement, work).await.unwrap_or_else(|_| {
        let seconds = limits.statement.as_secs_f32();
        Err(EngineError::TimedOut {
            server: session.server.clone(),
            seconds,
        })
    })
}

/// A primary and its physical standbys have one identifier, and no other cluster has it.
pub(super) async fn same_cluster(
    proven: &Session,
    administrators: &Session,
) -> Result<(), EngineError> {
    let (ours, theirs) = (identifier(proven).await?, identifier(administrators).await?);
    if ours == theirs {
        return Ok(());
    }
    Err(EngineError::AnotherCluster {
        server: administrators.server.clone(),
        administrators: theirs,
        secrets: ours,
    })
}

async fn identifier(session: &Session) -> Result<String, EngineError> {
    let question = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
    let row = session.client.query_one(question, &[]).await;
    Ok(row
        .map_err(|error| {
            classify_statement(
                &error,
                session,
                "read the cluster's identifier",
                &roles::grant("pg_monitor", &session.user),
            )
        })?
        .get(0))
}

async fn open(
    session: &Session,
    current: &Document,
    pending: &Document,
    hashing: PasswordHashing,
    limits: Limits,
) -> Result<(), EngineError> {
    let Pair { base, clone } = Pair::of(current.username())?;
    let (from, to) = (current.username(), pending.username());
    let run = async |sql: &str, action: &str, role: &str| {
        let action = format!("{action} {role}");
        session.client.batch_execute(sql).await.map_err(|error| {
            classify_statement(&error, session, &action, &roles::allow(&session.user, role))
        })
    };

    run(&roles::begin(&base, limits.statement), "lock", &base).await?;
    let limit = roles::connection_limit(&session.client, from).await;
    let limit = limit.map_err(|error| classify_statement(&error, session, "read pg_roles", ""))?;
    let known = roles::connection_limit(&session.client, to).await;
    if known
        .map_err(|error| classify_statement(&error, session, "read pg_roles", ""))?
        .is_none()
    {
        run(&roles::create(to), "create", to).await?;
    }
    run(
        &roles::open(to, limit.unwrap_or(-1), pending.password(), hashing),
        "alter",
        to,
    )
    .await?;

    // what the clone creates belongs to the base role, or both users' to a role that nobody logs in as
    let owner = pending.owner().unwrap_or(&base);
    let catalog =
        |error: tokio_postgres::Error| classify_statement(&error, session, "read the catalogs", "");
    let mut wanted = roles::memberships(&session.client, from)
        .await
        .map_err(catalog)?;
    wanted.extend([owner, &base].map(str::to_owned));
    wanted.retain(|role| role != to && *role != clone);
    wanted.sort();
    wanted.dedup();
    let present = roles::memberships(&session.client, to)
        .await
        .map_err(catalog)?;
    for role in wanted.iter().filter(|role| !present.contains(role)) {
        run(&roles::grant(role, to), "grant", role).await?;
    }

    let has = roles::settings(&session.client, to)
        .await
        .map_err(catalog)?;
    for sql in roles::reconcile_settings(
        to,
        &roles::settings(&session.client, from)
            .await
            .map_err(catalog)?,
        &has,
    ) {
        run(&sql, "alter", to).await?;
    }
    if to != owner {
        let acts_as_owner = has.iter().any(|setting| setting.name == "role");
        if !acts_as_owner
            && roles::owns_objects(&session.client, to)
                .await
                .map_err(catalog)?
        {
            tracing::warn!(
                role = to,
                "the role owns objects, so it goes on acting as itself: give them to their owner with REASSIGN OWNED, \
                 and the next rotation has what it creates belong to the owner"
            );
        } else {
            run(&roles::act_as(to, owner), "alter", to).await?;
        }
    }
    run("COMMIT", "alter", to).await?;
    // the session may be kept, and must not be for ever
    run(
        roles::END_WHEN_IDLE,
        "limit its own session, having altered",
        to,
    )
    .await
}

async fn bound(
    session: &Session,
    role: &str,
    window: Duration,
    limits: Limits,
) -> Result<(), EngineError> {
    let cure = roles::allow(&session.user, role);
    let action = format!("bound {role}");
    let failed = |error: tokio_postgres::Error| classify_statement(&error, session, &action, &cure);
    let base = Pair::of(role)?.base;
    session
        .client
        .batch_execute(&roles::begin(&base, limits.statement))
        .await
        .map_err(failed)?;
    // VALID UNTIL takes a literal only, so the server's clock is asked first, in the same transaction
    if let Some(until) = roles::bound(&session.client, role, window)
        .await
        .map_err(failed)?
    {
        session
            .client
            .batch_execute(&roles::valid_until(role, &until))
            .await
            .map_err(failed)?;
    }
    session.client.batch_execute("COMMIT").await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_users_are_named_as_awss_function_names_them() {
        for (user, other) in [
            ("app", "app_clone"),
            ("app_clone", "app"),
            ("_clone", "_clone_clone"),
        ] {
            assert_eq!(Pair::of(user).unwrap().other_than(user), other);
        }
    }

    #[test]
    fn a_name_of_57_bytes_has_a_clone_and_one_of_58_is_refused() {
        assert!(Pair::of(&"x".repeat(57)).is_ok());
        assert!(Pair::of(&format!("{}_clone", "x".repeat(57))).is_ok());
        let refused = Pair::of(&"ü".repeat(29)).err().unwrap();
        assert_eq!(refused.error_type(), "UserNameTooLong");
    }
}
