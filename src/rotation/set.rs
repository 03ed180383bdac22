//! setSecret: make the database accept the new password.

use super::{Outcome, Pending, document, pending, same_server, versions};
use crate::{
    document::Document,
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which},
    target::{Login, Target},
};

pub(super) async fn run<S: SecretStore, T: Target>(
    store: &S,
    target: &T,
    event: &RotationEvent,
) -> Result<Outcome, Error> {
    let (current, staged) = tokio::join!(
        store.read(&event.secret, Which::Current),
        store.read(&event.secret, Which::Pending(&event.token)),
    );
    let Some(current_version) = current? else {
        // the service has one answer for a secret without AWSCURRENT and for no secret at all
        versions::standing(&store.versions(&event.secret).await?, &event.token)?;
        return Err(versions::Refusal::NoCurrentVersion.into());
    };
    if current_version.id == event.token {
        return Ok(Outcome::AlreadyCurrent);
    }
    let Pending::Staged(staged) = pending(store, event, staged).await? else {
        return Ok(Outcome::AlreadyCurrent);
    };
    let current = document(&current_version, Which::Current)?;
    same_server(&current, &staged, Which::Pending(&event.token))?;

    // AWSCURRENT first: in a rotation that goes right it logs in, and no login is rejected
    if let Login::Accepted(session) = target.log_in(&current).await? {
        target.change(session, &staged).await?;
        return Ok(Outcome::Changed {
            replaced: current_version.created,
        });
    }
    if let Login::Accepted(_) = target.log_in(&staged).await? {
        return Ok(Outcome::AlreadyChanged);
    }
    by_previous(store, target, event, &current, &staged).await
}

/// The way in when somebody rolled the database back, or the labels: the version before AWSCURRENT.
async fn by_previous<S: SecretStore, T: Target>(
    store: &S,
    target: &T,
    event: &RotationEvent,
    current: &Document,
    staged: &Document,
) -> Result<Outcome, Error> {
    let no_version_logs_in = || Error::NoVersionLogsIn {
        user: current.username().to_owned(),
        server: format!("{}:{}", current.host(), current.port()),
    };
    let previous = store
        .read(&event.secret, Which::Previous)
        .await?
        .ok_or_else(no_version_logs_in)?;
    let previous = document(&previous, Which::Previous)?;
    same_server(current, &previous, Which::Previous)?;
    match target.log_in(&previous).await? {
        Login::Accepted(session) => {
            target.change(session, staged).await?;
            Ok(Outcome::ChangedByPrevious)
        }
        Login::Rejected => Err(no_version_logs_in()),
    }
}
