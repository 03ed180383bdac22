//! finishSecret: make the new version AWSCURRENT, and set an end for the old user's password.

use std::{cell::Cell, sync::Arc};

use super::{
    Outcome, Rotation, document, fits,
    memory::Replaced,
    versions::{self, Standing},
    while_reads_lag,
};
use crate::{
    document::{Document, Overlap},
    engine::{Engine, Promotion, Retiring, Whose},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, StoreError, Version, Versions, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn finish(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        // a promotion by a second delivery between two reads looks like a lagging read
        while_reads_lag(async || self.finish_once(event).await).await
    }

    async fn finish_once(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let versions = self.store.versions(&event.secret).await?;
        let standing = versions::standing(&versions, &event.token)?;
        // a late repetition during the next rotation: it may be the old user's turn again
        if standing == Standing::Current && versions::at_rest(&versions).is_err() {
            return Ok(Outcome::AlreadyCurrent);
        }
        if let Standing::Pending { .. } = standing {
            self.not_known_to_fail(event).await?;
        }
        let successor = Cell::default();
        let replaced = self.replaced(event, &versions, &standing, &successor);
        // The old password gets its end only after the successor is current. If that fails the promotion stays, and the
        // repeated step comes here again.
        let promote = async || self.promote(event, &standing).await;
        let Some(replaced) = replaced.await? else {
            promote().await?;
            return Ok(Outcome::AlreadyCurrent);
        };
        let old = &*replaced.document;
        let window = match self.overlap(old) {
            Overlap::Bounded(window) => Some(window).filter(|_| replaced.ends),
            Overlap::Unbounded => None,
        };
        let retiring = Retiring {
            secret: &event.secret,
            version: &event.token,
            replaced: old,
            window,
            pinned: !versions::are_the_services_own(&versions),
        };
        let read = async |whose| match whose {
            Whose::Administrator => {
                let administrator = old.administrator().unwrap_or_default();
                self.administrator(administrator, old).await
            }
            Whose::Successor => self.successor(event, &successor).await,
        };
        Ok(match self.engine.retire(&retiring, read, promote).await? {
            // under single user setSecret has reported when it was stored
            Promotion::Now => Outcome::Promoted {
                replaced: replaced.stored.filter(|_| replaced.ends),
            },
            Promotion::Before | Promotion::Outdated => Outcome::AlreadyCurrent,
        })
    }

    /// Secrets Manager sends this step after testSecret has succeeded; a person may send it without, and lock the application
    /// out. So an environment that has not seen the login tries it.
    ///
    /// Only what the server says about the credential stops the promotion. Silence does not: testSecret may have succeeded
    /// elsewhere, and under single user AWSCURRENT does not log in until the promotion.
    async fn not_known_to_fail(&self, event: &RotationEvent) -> Result<(), Error> {
        if self.memory.has_logged_in(event) {
            return Ok(());
        }
        match self.test(event).await {
            Err(Error::Engine(error)) if !error.is_about_the_credential() => {
                tracing::warn!(%error, "nothing is known about the new version's login: finishSecret relies on testSecret");
                Ok(())
            }
            tested => tested.map(drop),
        }
    }

    /// The token's document, which may already be read.
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

    /// Makes the token's version current, if it is pending.
    async fn promote(
        &self,
        event: &RotationEvent,
        standing: &Standing<'_>,
    ) -> Result<Promotion, Error> {
        let mut refused = None;
        if let Standing::Pending { current } = standing {
            // AWSPENDING stays on its version: the service removes it, or not, and both end states are legal
            let promote = self.store.promote(&event.secret, &event.token, current);
            match promote.await {
                Ok(()) => return Ok(Promotion::Now),
                // a second delivery or someone else has already moved the label
                Err(answer @ StoreError::Refused { .. }) => refused = Some(answer),
                Err(error) => return Err(error.into()),
            }
        }
        let versions = self.store.versions(&event.secret).await?;
        match (versions::standing(&versions, &event.token)?, refused) {
            (Standing::Pending { .. }, Some(refused)) => Err(refused.into()),
            (Standing::Current, _) if versions::at_rest(&versions).is_ok() => Ok(Promotion::Before),
            _ => Ok(Promotion::Outdated),
        }
    }

    /// The version that is, or was, AWSCURRENT before the promotion. If it names the same user as its successor, whose password
    /// must not end, the result names the other user of the pair.
    async fn replaced(
        &self,
        event: &RotationEvent,
        versions: &Versions,
        standing: &Standing<'_>,
        read: &Cell<Option<Document>>,
    ) -> Result<Option<Replaced>, Error> {
        if let Some(replaced) = self.memory.replaced_by(event) {
            return Ok(Some(replaced));
        }
        let (old, new) = match standing {
            Standing::Pending { .. } => (Which::Current, Which::Pending(&event.token)),
            Standing::Current => (Which::Previous, Which::Current),
        };
        let (Some(new_version), Some(old_version)) = (
            self.labelled(event, versions, new).await?,
            self.labelled(event, versions, old).await?,
        ) else {
            return Ok(None);
        };
        let replaced = document::<T>(&old_version, old)?;
        // after the promotion too: AWSPREVIOUS says whose password ends, and where the administrator's password goes
        let successor = fits(&replaced, document::<T>(&new_version, new)?, new)?;
        let same = replaced.username() == successor.username();
        read.set(Some(successor));
        let turns = replaced.takes_turns();
        let replaced = match same && turns && replaced.api().is_none() {
            false => replaced,
            // someone has stored a version since setSecret: this one still replaces the other user of the pair
            true => self.of_the_other(&replaced),
        };
        let ends = turns && !(same && replaced.api().is_some());
        Ok(Some(Replaced {
            document: Arc::new(replaced),
            stored: old_version.created,
            ends,
        }))
    }

    /// The version with this label, according to DescribeSecret.
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
