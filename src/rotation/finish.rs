//! finishSecret: make the new version AWSCURRENT, and bound the old user.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{Outcome, Rotation, document, memory::Replaced, versions};
use crate::{
    document::Overlap,
    engine::{Announced, Engine},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, StoreError, Versions, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn finish(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let versions = self.store.versions(&event.secret).await?;
        let standing = versions::standing(&versions, &event.token)?;
        let promoted = match standing {
            // a late repetition, and the next rotation is under way: the old user's turn may have come again
            versions::Standing::Current if versions::at_rest(&versions).is_err() => {
                return Ok(Outcome::AlreadyCurrent);
            }
            versions::Standing::Current => false,
            versions::Standing::Pending { current } => self.promote(event, current).await?,
        };
        // after the promotion, never before: nothing ends whose successor is not current. If this fails the
        // promotion stands, and the step's repetition comes here again.
        let replaced = self.bound_the_old_user(event, &versions).await?;
        if promoted {
            self.announce(event).await;
        }
        Ok(if promoted {
            Outcome::Promoted { replaced }
        } else {
            Outcome::AlreadyCurrent
        })
    }

    /// Tells the clients that listen. They would learn of it without, so it fails no rotation.
    async fn announce(&self, event: &RotationEvent) {
        let replaced = self.memory.replaced_by(&event.token);
        if replaced.is_some_and(|replaced| self.engine.mints(&replaced.document)) {
            return; // a service has nobody who listens
        }
        let told = async {
            let (secret, version) = (&*event.secret, &*event.token);
            if self.engine.announce(None, secret, version).await? == Announced::NoSession
                && let Some(current) = self.store.read(secret, Which::Current).await?
            {
                let document = document::<T>(&current, Which::Current)?;
                self.engine
                    .announce(Some(&document), secret, version)
                    .await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = told.await {
            tracing::warn!(%error, "clients were not told of the new version: they find it when their cache's lifetime ends");
        }
    }

    /// False if a second delivery of this step was faster.
    async fn promote(&self, event: &RotationEvent, current: &str) -> Result<bool, Error> {
        // AWSPENDING is left where it is: the service takes it off, or not, and both end states are legal
        match self
            .store
            .promote(&event.secret, &event.token, current)
            .await
        {
            Ok(()) => Ok(true),
            // the label was elsewhere already: moved by a second delivery, or by somebody else
            Err(refused @ StoreError::Refused { .. }) => {
                let versions = self.store.versions(&event.secret).await?;
                match versions::standing(&versions, &event.token)? {
                    versions::Standing::Current => Ok(false),
                    versions::Standing::Pending { .. } => Err(refused.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Under alternating users, or where there are two keys, has the old one's password end with the overlap window; tells
    /// when its version was stored.
    async fn bound_the_old_user(
        &self,
        event: &RotationEvent,
        versions: &Versions,
    ) -> Result<Option<SystemTime>, Error> {
        let Some(Replaced {
            document: retired,
            stored,
        }) = self.retired(event).await?
        else {
            return Ok(None);
        };
        let Some(administrator) = retired.administrator() else {
            return Ok(None);
        };
        // a service does not end a key by itself: the next createSecret does, when the window is over, and if no other
        // version holds the key
        let ends_now = |window: Duration| {
            !self.engine.mints(&retired)
                || window.is_zero() && versions::are_the_services_own(versions)
        };
        if let Overlap::Bounded(window) = self.overlap(&retired)
            && ends_now(window)
        {
            let administrator = self.administrator(administrator, &retired).await?;
            self.engine.retire(&administrator, &retired, window).await?;
        }
        Ok(stored)
    }

    /// The version that was AWSCURRENT before, if it is about another user than the one that is current now.
    async fn retired(&self, event: &RotationEvent) -> Result<Option<Replaced>, Error> {
        if let Some(replaced) = self.memory.replaced_by(&event.token) {
            return Ok(Some(replaced));
        }
        let (current, previous) = tokio::join!(
            self.store.read(&event.secret, Which::Current),
            self.store.read(&event.secret, Which::Previous),
        );
        let (Some(current), Some(previous)) = (current?, previous?) else {
            return Ok(None);
        };
        let stored = previous.created;
        let current = document::<T>(&current, Which::Current)?;
        let previous = document::<T>(&previous, Which::Previous)?;
        // the same user twice (a single user's secret, or one that was written by hand): it must not be ended
        let other = Some(previous).filter(|previous| previous.username() != current.username());
        Ok(other.map(|document| Replaced {
            document: Arc::new(document),
            stored,
        }))
    }
}
