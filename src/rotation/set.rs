//! setSecret: make the database accept the new password.

use super::{Outcome, Pending, Rotation, document, same_server, versions};
use crate::{
    document::Document,
    engine::{Engine, Login},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn set(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let (current, staged) = tokio::join!(
            self.store.read(&event.secret, Which::Current),
            self.store.read(&event.secret, Which::Pending(&event.token)),
        );
        let Some(current_version) = current? else {
            // the service has one answer for a secret without AWSCURRENT and for no secret at all
            versions::standing(&self.store.versions(&event.secret).await?, &event.token)?;
            return Err(versions::Refusal::NoCurrentVersion.into());
        };
        if current_version.id == event.token {
            return Ok(Outcome::AlreadyCurrent);
        }
        let Pending::Staged(staged) = self.pending(event, staged).await? else {
            return Ok(Outcome::AlreadyCurrent);
        };
        let current = document::<T>(&current_version, Which::Current)?;
        same_server(&current, &staged, Which::Pending(&event.token))?;
        self.memory
            .keep(&event.token, &current, current_version.created);

        if self.engine.mints(&current) {
            // the service made the key itself; whether it is ready is testSecret's question
            return Ok(Outcome::Changed { replaced: None });
        }
        // AWSCURRENT first: in a rotation that goes right it logs in, and no login is rejected
        if let Login::Accepted(session) = self.engine.log_in(&current).await? {
            self.change(session, &current, &staged).await?;
            let replaced = current_version
                .created
                .filter(|_| current.administrator().is_none());
            return Ok(Outcome::Changed { replaced });
        }
        if let Login::Accepted(_) = self.engine.log_in(&staged).await? {
            return Ok(Outcome::AlreadyChanged);
        }
        self.by_previous(event, &current, &staged).await
    }

    /// The way in when somebody rolled the database back, or the labels: the version before AWSCURRENT.
    async fn by_previous(
        &self,
        event: &RotationEvent,
        current: &Document,
        staged: &Document,
    ) -> Result<Outcome, Error> {
        let no_version_logs_in = || Error::NoVersionLogsIn {
            user: current.username().to_owned(),
            server: current.server(),
        };
        let previous = self.store.read(&event.secret, Which::Previous).await?;
        let previous = document::<T>(&previous.ok_or_else(no_version_logs_in)?, Which::Previous)?;
        same_server(current, &previous, Which::Previous)?;
        match self.engine.log_in(&previous).await? {
            Login::Accepted(session) => {
                self.change(session, current, staged).await?;
                Ok(Outcome::ChangedByPrevious)
            }
            Login::Rejected => Err(no_version_logs_in()),
        }
    }

    /// The administrator's credential is read, and sent to the server, only after one of the secret's own has
    /// logged in there.
    async fn change(
        &self,
        proven: T::Session,
        current: &Document,
        staged: &Document,
    ) -> Result<(), Error> {
        let administrator = match current.administrator() {
            None => None,
            Some(secret) => Some(self.administrator(secret, current).await?),
        };
        Ok(self
            .engine
            .change(proven, administrator.as_ref(), current, staged)
            .await?)
    }
}
