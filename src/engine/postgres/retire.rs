//! finishSecret for alternating users: the old user's password gets an end, the new user's loses it.

use std::time::Duration;

use tokio::join;

use super::{
    Postgres, Session,
    administrator::{Altering, log_in},
    alternating_users::pair_of,
    catalogs,
    change::Change,
    facts,
    instance::same_instance,
    locks, obstacles, pair, roles,
    session::Purpose,
};
use crate::{
    document::{Document, Pair},
    engine::{EngineError, Login, Promotion, Retiring, Whose},
};

/// Sets an end for the replaced role's password, if `promote` says so while nobody else can change it.
///
/// The successor's credential is read if the administrator must log in: it proves that this is the right server.
pub(super) async fn retire<E: From<EngineError>>(
    postgres: &Postgres<'_>,
    retiring: &Retiring<'_>,
    read: &impl AsyncFn(Whose) -> Result<Document, E>,
    promote: impl AsyncFnOnce() -> Result<Promotion, E>,
) -> Result<Promotion, E> {
    let administrator = read(Whose::Administrator).await?;
    if let Some(session) = postgres.kept.take(&administrator, retiring.replaced).await {
        match ends(&session, retiring).await {
            // closed since, with or without a message (57P01, 57P05): nothing was asked yet
            Err(EngineError::Unreachable { .. }) => {}
            Err(EngineError::Refused { code, .. }) if code.starts_with("57P") => {}
            prepared => return promoted(prepared?, promote).await,
        }
    }
    let proven = match postgres.kept.take_proven(retiring.version).await {
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
    // it notifies the listeners
    postgres.kept.keep_proven(retiring.version, proven).await;
    promoted(ends(&session, retiring).await?, promote).await
}

/// Both ends are set before the promotion: if they cannot be set, there is no promotion either.
async fn ends<'a>(
    session: &'a Session,
    retiring: &Retiring<'_>,
) -> Result<Change<'a>, EngineError> {
    let user = retiring.replaced.username();
    let pair = pair_of(user)?;
    let prepare = async || {
        let change = Change::begin(session, &pair.base).await?;
        let new = pair.other_than(user);
        let (are_a_pair, end_of_the_old, end_of_the_new) = join!(
            are_a_pair(session, &pair),
            end_of_the_old(session, user, retiring.window),
            end_of_the_new(session, new),
        );
        are_a_pair?;
        let (end_of_the_old, end_of_the_new) = (end_of_the_old?, end_of_the_new?);
        if let Some(until) = end_of_the_old {
            let altering = Altering::new(session, "bound", user);
            let sql = roles::valid_until(user, &until);
            change.run(&sql, altering.doing()).await?;
        }
        if let Some(until) = end_of_the_new {
            tracing::warn!(
                user = new,
                until,
                "the new credential has an end (VALID UNTIL), which is removed"
            );
            change.lift_end(new).await?;
        }
        Ok(change)
    };
    locks::past_its_own(session, &pair, prepare).await
}

/// They stay if the promotion is made.
async fn promoted<E: From<EngineError>>(
    change: Change<'_>,
    promote: impl AsyncFnOnce() -> Result<Promotion, E>,
) -> Result<Promotion, E> {
    let promotion = change.asked(promote).await?;
    match promotion {
        Promotion::Now | Promotion::Before => change.keep().await?,
        Promotion::Outdated => change.roll_back().await?,
    }
    Ok(promotion)
}

/// Anyone who can write the secret can store versions that name a role which only has the other user's name. Nothing of that role
/// ends.
pub(super) async fn are_a_pair(session: &Session, pair: &Pair) -> Result<(), EngineError> {
    let namesakes = pair::namesakes(session, pair).await?;
    let found = namesakes.map(|namesakes| obstacles::no_pair(pair, namesakes));
    obstacles::refuse_or_warn(&session.server, found.into_iter().collect())
}

/// The end of the window, unless the password ends before it. VALID UNTIL accepts a literal only, so the server's clock is asked.
async fn end_of_the_old(
    session: &Session,
    user: &str,
    window: Option<Duration>,
) -> Result<Option<String>, EngineError> {
    let altering = Altering::new(session, "bound", user);
    match window {
        Some(window) => catalogs::bound(session, user, window, altering.doing()).await,
        None => Ok(None),
    }
}

/// When the new password ends. setSecret has removed that, unless AWS's function ran it: then the application would be locked out
/// within the window.
async fn end_of_the_new(session: &Session, user: &str) -> Result<Option<String>, EngineError> {
    let mut found = facts::roles(session, &[user]).await?;
    Ok(found.pop().and_then(|role| role.ends))
}
