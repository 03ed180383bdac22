//! finishSecret: make the new version AWSCURRENT, and bound the old user.

use std::{cell::Cell, sync::Arc, time::Duration};

use super::{Outcome, Rotation, document, memory::Replaced, versions, while_reads_lag};
use crate::{
    document::{Document, Overlap},
    engine::{Announced, Engine, Retiring},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, StoreError, Version, Versions, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn finish(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        // to read what a second delivery has promoted meanwhile looks the same
        while_reads_lag(async || self.finish_once(event).await).await
    }

    async fn finish_once(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let versions = self.store.versions(&event.secret).await?;
        let standing = versions::standing(&versions, &event.token)?;
        // a late repetition, and the next rotation is under way: the old user's turn may have come again
        if standing == versions::Standing::Current && versions::at_rest(&versions).is_err() {
            return Ok(Outcome::AlreadyCurrent);
        }
        let moved = Cell::new(false);
        // Called while nobody else can change the old user. It is bounded if the successor is current, and never before; if
        // that fails the promotion stands, and the step's repetition comes here again.
        let promoted = async || self.promoted(event, &standing, &moved).await;
        let successor = Cell::default();
        let replaced = self.replaced(event, &versions, &standing, &successor);
        let replaced = replaced.await?;
        match self.bounded(replaced.as_ref(), &versions) {
            Some((secret, retired, window)) => {
                let administrator = self.administrator(secret, retired).await?;
                let retiring = Retiring {
                    administrator: &administrator,
                    retired,
                    window,
                    version: &event.token,
                };
                let successor = async || self.successor(event, &successor).await;
                self.engine.retire(&retiring, successor, promoted).await?;
            }
            None => {
                promoted().await?;
            }
        }
        if !moved.get() {
            return Ok(Outcome::AlreadyCurrent);
        }
        self.announce(event, &successor).await;
        // under single user setSecret has told it
        let replaced = replaced.filter(|replaced| replaced.document.administrator().is_some());
        Ok(Outcome::Promoted {
            replaced: replaced.and_then(|replaced| replaced.stored),
        })
    }

    /// Whether the old one of two users, or of two keys, is to end with an overlap window, by whom, and when.
    fn bounded<'a>(
        &self,
        replaced: Option<&'a Replaced>,
        versions: &Versions,
    ) -> Option<(&'a str, &'a Document, Duration)> {
        let retired = &*replaced?.document;
        let administrator = retired.administrator()?;
        let Overlap::Bounded(window) = self.overlap(retired) else {
            return None;
        };
        // a service does not end a key by itself: the next createSecret does, when the window is over, and if no other
        // version holds the key
        let ends_now = !self.engine.mints(retired)
            || window.is_zero() && versions::are_the_services_own(versions);
        ends_now.then_some((administrator, retired, window))
    }

    /// The token's document, which may have been read already.
    async fn successor(
        &self,
        event: &RotationEvent,
        read: &Cell<Option<Document>>,
    ) -> Result<Document, Error> {
        if let Some(successor) = read.take() {
            return Ok(successor);
        }
        let which = Which::Version(&event.token);
        let version = self.store.read(&event.secret, which).await?;
        document::<T>(&version.ok_or(Error::NoPendingValue)?, which)
    }

    /// Tells the clients that listen. They would learn of it without, so it fails no rotation.
    async fn announce(&self, event: &RotationEvent, successor: &Cell<Option<Document>>) {
        let replaced = self.memory.replaced_by(event);
        if replaced.is_some_and(|replaced| self.engine.mints(&replaced.document)) {
            return; // a service has nobody who listens
        }
        let told = async {
            let (secret, version) = (&*event.secret, &*event.token);
            if self.engine.announce(None, secret, version).await? == Announced::NoSession {
                let successor = self.successor(event, successor).await?;
                self.engine
                    .announce(Some(&successor), secret, version)
                    .await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = told.await {
            tracing::warn!(%error, "clients were not told of the new version: they find it when their cache's lifetime ends");
        }
    }

    /// Makes the token's version current, if it is its turn; false if the next rotation is under way. `moved` tells who did it.
    async fn promoted(
        &self,
        event: &RotationEvent,
        standing: &versions::Standing<'_>,
        moved: &Cell<bool>,
    ) -> Result<bool, Error> {
        let mut refused = None;
        if let versions::Standing::Pending { current } = standing {
            // AWSPENDING is left where it is: the service takes it off, or not, and both end states are legal
            let promote = self.store.promote(&event.secret, &event.token, current);
            match promote.await {
                Ok(()) => {
                    moved.set(true);
                    return Ok(true);
                }
                // the label was elsewhere already: moved by a second delivery, or by somebody else
                Err(answer @ StoreError::Refused { .. }) => refused = Some(answer),
                Err(error) => return Err(error.into()),
            }
        }
        let versions = self.store.versions(&event.secret).await?;
        match (versions::standing(&versions, &event.token)?, refused) {
            (versions::Standing::Pending { .. }, Some(refused)) => Err(refused.into()),
            (versions::Standing::Pending { .. }, None) => Ok(false),
            (versions::Standing::Current, _) => Ok(versions::at_rest(&versions).is_ok()),
        }
    }

    /// The version that is AWSCURRENT before the promotion, or was. If it is about the same user as the one that follows, who must
    /// not be ended, it is about the other one of the pair; of an API key there is none then.
    async fn replaced(
        &self,
        event: &RotationEvent,
        versions: &Versions,
        standing: &versions::Standing<'_>,
        read: &Cell<Option<Document>>,
    ) -> Result<Option<Replaced>, Error> {
        if let Some(replaced) = self.memory.replaced_by(event) {
            return Ok(Some(replaced));
        }
        let (old, new) = match standing {
            versions::Standing::Pending { .. } => (Which::Current, Which::Pending(&event.token)),
            versions::Standing::Current => (Which::Previous, Which::Current),
        };
        let (Some(new_version), Some(old_version)) = (
            self.labelled(event, versions, new).await?,
            self.labelled(event, versions, old).await?,
        ) else {
            return Ok(None);
        };
        let replaced = document::<T>(&old_version, old)?;
        let successor = document::<T>(&new_version, new)?;
        // after the promotion too: AWSPREVIOUS says whose password ends, and where the administrator's goes
        self.fits(&replaced, &successor, new)?;
        let stored = old_version.created;
        let same = replaced.username() == successor.username();
        read.set(Some(successor));
        let replaced = match replaced.administrator().is_some() && same {
            false => replaced,
            true if self.engine.mints(&replaced) => return Ok(None),
            // somebody has stored a version since setSecret: the other user of the pair is still what this one replaces
            true => {
                let overlap = self.overlap(&replaced);
                self.engine.propose(&replaced, "".into(), overlap)?
            }
        };
        Ok(Some(Replaced {
            document: Arc::new(replaced),
            stored,
        }))
    }

    /// The version that has this label, as DescribeSecret has it.
    async fn labelled(
        &self,
        event: &RotationEvent,
        versions: &Versions,
        which: Which<'_>,
    ) -> Result<Option<Version>, Error> {
        let Some(id) = versions::labelled(versions, which) else {
            return Ok(None);
        };
        match self.store.read(&event.secret, which).await {
            Ok(Some(version)) if version.id == id => Ok(Some(version)),
            Ok(_) | Err(StoreError::Refused { .. }) => Err(versions::Refusal::Lagging.into()),
            Err(error) => Err(error.into()),
        }
    }
}
