//! setSecret: make the database accept the new password.

use std::{cell::Cell, time::SystemTime};

use super::{Outcome, Rotation, document, fits, versions};
use crate::{
    document::Document,
    engine::{Engine, Login, Proven},
    error::Error,
    event::RotationEvent,
    moment,
    store::{SecretStore, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn set(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let Some(current_version) = self.store.read(&event.secret, Which::Current).await? else {
            // the service gives one answer for a secret without AWSCURRENT and for a missing secret
            versions::standing(&self.store.versions(&event.secret).await?, &event.token)?;
            return Err(versions::Refusal::NoCurrentVersion.into());
        };
        if current_version.id == event.token {
            return Ok(Outcome::AlreadyCurrent);
        }
        let current = document::<T>(&current_version, Which::Current)?;
        let found = Cell::new(Outcome::Changed { replaced: None });
        let proven = async || {
            self.proven(event, &current, current_version.created, &found)
                .await
        };
        // read last, while nobody else can change the credential: a delayed delivery finds that its token is no longer staged
        let wanted = async || {
            let staged = self.staged(event, &current).await?;
            if staged.is_none() {
                found.set(Outcome::AlreadyCurrent);
            }
            Ok::<_, Error>(staged)
        };
        let promised = self.engine.change(&current, proven, wanted).await?;
        // a rollback keeps the password, so a promise is broken only here
        if let Some(promised) = promised {
            tracing::warn!(
                kind = "PromiseBroken",
                user = current.next_user(),
                until = %moment::shown(promised),
                "an old password was replaced before its promised end: an application that still uses it must read the \
                 secret again; make the schedule longer than the overlap"
            );
        }
        self.memory.keep(event, &current, current_version.created);
        Ok(match (promised, found.get()) {
            (Some(promised), Outcome::Changed { .. }) => Outcome::ChangedEarly { promised },
            (_, found) => found,
        })
    }

    /// The session for the change, and the outcome that the change will have; `None` if there is nothing to change.
    ///
    /// The administrator's credential is read, and sent to the server, only after one of the secret's own has logged in there.
    async fn proven(
        &self,
        event: &RotationEvent,
        current: &Document,
        stored: Option<SystemTime>,
        found: &Cell<Outcome>,
    ) -> Result<Option<Proven<T::Session>>, Error> {
        // AWSCURRENT first: in a usual rotation it logs in, and the server rejects no login
        let session = match self.engine.log_in(current).await? {
            Login::Accepted(session) => {
                let replaced = stored.filter(|_| !current.takes_turns());
                found.set(Outcome::Changed { replaced });
                session
            }
            Login::Rejected => {
                let Some(staged) = self.staged(event, current).await? else {
                    found.set(Outcome::AlreadyCurrent);
                    return Ok(None);
                };
                if let Login::Accepted(_) = self.engine.log_in(&staged).await? {
                    found.set(Outcome::AlreadyChanged);
                    return Ok(None);
                }
                found.set(Outcome::ChangedByPrevious);
                self.by_previous(event, current).await?
            }
        };
        let administrator = match current.administrator() {
            None => None,
            Some(secret) => Some(self.administrator(secret, current).await?),
        };
        Ok(Some(Proven {
            session,
            administrator,
        }))
    }

    /// Logs in with AWSPREVIOUS, for when someone set back the database or the labels.
    async fn by_previous(
        &self,
        event: &RotationEvent,
        current: &Document,
    ) -> Result<T::Session, Error> {
        let no_version_logs_in = || Error::NoVersionLogsIn {
            user: current.username().to_owned(),
            server: current.server(),
        };
        let previous = self.store.read(&event.secret, Which::Previous).await?;
        let previous = document::<T>(&previous.ok_or_else(no_version_logs_in)?, Which::Previous)?;
        // the administrator sets passwords of its pair of roles, so the version must name that pair
        let previous = fits(current, previous, Which::Previous)?;
        match self.engine.log_in(&previous).await? {
            Login::Accepted(session) => Ok(session),
            Login::Rejected => Err(no_version_logs_in()),
        }
    }
}
