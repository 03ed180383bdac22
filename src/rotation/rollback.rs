//! rollbackSecret: after a bad rotation, make AWSPREVIOUS current again.
//!
//! An operator invokes it, the service never does. The order locks nobody out: AWSPREVIOUS logs in first, then its password
//! loses its end, then AWSCURRENT moves, and last the password that was current gets an end, as after a rotation.

use super::{
    Outcome, Resting, Rotation, document, fits,
    reversal::{Refusal, administrator_of, another_user},
    versions, while_reads_lag,
};
use crate::{
    document::Overlap,
    engine::{Engine, Login, Promotion, Proven, Retiring, Whose},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, StoreError, Versions, Which},
};

/// The ids of the two versions that change places.
struct Places {
    current: String,
    previous: String,
}

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn rollback(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        while_reads_lag(async || self.rollback_once(event).await).await
    }

    async fn rollback_once(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let Resting {
            versions,
            version: current_version,
            current,
            previous,
        } = self.resting(event).await?;
        let administrator = administrator_of(&current)?;
        let previous_version = previous?.ok_or(Refusal::NoPrevious)?;
        versions::up_to_date(&versions, Which::Previous, &previous_version.id)?;
        let previous = document::<T>(&previous_version, Which::Previous)?;
        let previous = fits(&current, previous, Which::Previous)?;
        let previous = another_user(&current, previous)?;
        let places = Places {
            current: current_version.id,
            previous: previous_version.id,
        };

        let proven = async || {
            // AWSCURRENT need not log in: that may be the reason to roll back
            let Login::Accepted(session) = self.engine.log_in(&previous).await? else {
                return Err(Refusal::PreviousRejected {
                    user: previous.username().to_owned(),
                    server: previous.server(),
                }
                .into());
            };
            Ok(Some(Proven {
                session,
                administrator: Some(self.administrator(administrator, &current).await?),
            }))
        };
        let wanted = async || {
            self.unmoved(event, &places).await?;
            Ok::<_, Error>(Some(previous.clone()))
        };
        self.engine.change(&current, proven, wanted).await?;

        let retiring = Retiring {
            secret: &event.secret,
            version: &places.previous,
            replaced: &current,
            window: match self.overlap(&current) {
                Overlap::Bounded(window) => Some(window),
                Overlap::Unbounded => None,
            },
            pinned: !versions::are_the_services_own(&versions),
        };
        let read = async |whose| match whose {
            Whose::Administrator => self.administrator(administrator, &current).await,
            Whose::Successor => Ok(previous.clone()),
        };
        let promote = async || self.move_back(event, &places).await;
        self.engine.retire(&retiring, read, promote).await?;
        Ok(Outcome::RolledBack)
    }

    /// Moves AWSCURRENT back, if the labels have not changed.
    ///
    /// A finished rotation may have left AWSPENDING on its version. Without AWSCURRENT that would look like a rotation in
    /// flight, and a late finishSecret would promote the version again. So AWSPENDING is removed first.
    async fn move_back(&self, event: &RotationEvent, places: &Places) -> Result<Promotion, Error> {
        let (to, from) = (&places.previous, &places.current);
        let is =
            |versions: &Versions, which, id: &str| versions::labelled(versions, which) == Some(id);
        let pending = Which::Pending("");
        if is(&self.unmoved(event, places).await?, pending, from) {
            match self.store.unstage(&event.secret, from).await {
                // a rotation has begun; or AWSPENDING is already removed, and the first answer was lost
                Err(refused @ StoreError::Refused { .. }) => {
                    if is(&self.unmoved(event, places).await?, pending, from) {
                        return Err(refused.into());
                    }
                }
                unstaged => unstaged?,
            }
        }
        match self.store.promote(&event.secret, to, from).await {
            Err(refused @ StoreError::Refused { .. }) => {
                let versions = self.store.versions(&event.secret).await?;
                match is(&versions, Which::Current, to) && is(&versions, Which::Previous, from) {
                    // the first answer was lost
                    true => Ok(Promotion::Now),
                    false => Err(refused.into()),
                }
            }
            promoted => Ok(promoted.map(|()| Promotion::Now)?),
        }
    }

    /// The labels, if they have not changed since the rollback began. They are read while nobody else can change the
    /// credential.
    async fn unmoved(&self, event: &RotationEvent, places: &Places) -> Result<Versions, Error> {
        match self.still(event, &places.current, &places.previous).await {
            // no automatic retry: it could undo another rollback
            Err(Error::Refused(versions::Refusal::Lagging)) => Err(Refusal::LabelsMoved.into()),
            still => still,
        }
    }
}
