//! setSecret: make the database accept the new password.

use std::time::SystemTime;

use super::{Outcome, Rotation, document, versions};
use crate::{
    document::Document,
    engine::{Engine, Login},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn set(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let Some(current_version) = self.store.read(&event.secret, Which::Current).await? else {
            // the service has one answer for a secret without AWSCURRENT and for no secret at all
            versions::standing(&self.store.versions(&event.secret).await?, &event.token)?;
            return Err(versions::Refusal::NoCurrentVersion.into());
        };
        if current_version.id == event.token {
            return Ok(Outcome::AlreadyCurrent);
        }
        let current = document::<T>(&current_version, Which::Current)?;
        let outcome = if self.engine.mints(&current) {
            // the service made the key itself; whether it is ready is testSecret's question
            match self.staged(event, &current).await? {
                None => Outcome::AlreadyCurrent,
                Some(_) => Outcome::Changed { replaced: None },
            }
        } else {
            self.change(event, &current, current_version.created)
                .await?
        };
        self.memory.keep(event, &current, current_version.created);
        Ok(outcome)
    }

    async fn change(
        &self,
        event: &RotationEvent,
        current: &Document,
        stored: Option<SystemTime>,
    ) -> Result<Outcome, Error> {
        // AWSCURRENT first: in a rotation that goes right it logs in, and no login is rejected
        if let Login::Accepted(session) = self.engine.log_in(current).await? {
            let replaced = stored.filter(|_| current.administrator().is_none());
            let done = Outcome::Changed { replaced };
            return self.change_as(session, event, current, done).await;
        }
        let Some(staged) = self.staged(event, current).await? else {
            return Ok(Outcome::AlreadyCurrent);
        };
        if let Login::Accepted(_) = self.engine.log_in(&staged).await? {
            return Ok(Outcome::AlreadyChanged);
        }
        self.by_previous(event, current).await
    }

    /// The way in when somebody rolled the database back, or the labels: the version before AWSCURRENT.
    async fn by_previous(
        &self,
        event: &RotationEvent,
        current: &Document,
    ) -> Result<Outcome, Error> {
        let no_version_logs_in = || Error::NoVersionLogsIn {
            user: current.username().to_owned(),
            server: current.server(),
        };
        let previous = self.store.read(&event.secret, Which::Previous).await?;
        let previous = document::<T>(&previous.ok_or_else(no_version_logs_in)?, Which::Previous)?;
        // the administrator gives its pair of roles a password, so it must be of that pair
        self.fits(current, &previous, Which::Previous)?;
        let Login::Accepted(session) = self.engine.log_in(&previous).await? else {
            return Err(no_version_logs_in());
        };
        self.change_as(session, event, current, Outcome::ChangedByPrevious)
            .await
    }

    /// The administrator's credential is read, and sent to the server, only after one of the secret's own has
    /// logged in there. AWSPENDING is read last, while nobody else can change the credential: a delivery that was held up
    /// finds that its token is staged no longer.
    async fn change_as(
        &self,
        proven: T::Session,
        event: &RotationEvent,
        current: &Document,
        done: Outcome,
    ) -> Result<Outcome, Error> {
        let administrator = match current.administrator() {
            None => None,
            Some(secret) => Some(self.administrator(secret, current).await?),
        };
        let wanted = async || self.staged(event, current).await;
        let changed = self
            .engine
            .change(proven, administrator.as_ref(), current, wanted)
            .await?;
        Ok(if changed {
            done
        } else {
            Outcome::AlreadyCurrent
        })
    }
}
