//! createSecret where the service itself makes the credential.
//!
//! It can't be made twice without one too many, so it is looked first whether an earlier delivery has stored one. Of two
//! deliveries at once one stores what it had made; each ends what is not stored.

use std::time::SystemTime;

use super::{
    Outcome, Pending, Rotation, document, same_server,
    versions::{self, Standing},
};
use crate::{
    document::{Document, Overlap},
    engine::{Engine, EngineError, Minting},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Version, Versions, Which, Written},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    /// `current` is the document of `version`, AWSCURRENT.
    pub(super) async fn mint(
        &self,
        event: &RotationEvent,
        mut versions: Versions,
        version: &Version,
        current: &Document,
    ) -> Result<Outcome, Error> {
        let which = Which::Pending(&event.token);
        let mut seen = None;
        loop {
            let (stored, previous) = tokio::join!(
                self.store.read(&event.secret, which),
                self.store.read(&event.secret, Which::Previous),
            );
            let (stored, previous) = (stored?, previous?);
            let master = self.administrator(current.administrator().unwrap_or_default(), current);
            let master = master.await?;
            let read = [Some(version), previous.as_ref(), stored.as_ref()];
            let held = self.held(event, current, &versions, &read).await;
            let ids = held.ids();
            let overlap = self.overlap(current);
            let since = versions.rotated.max(version.created);
            let minting = Minting {
                administrator: &master,
                secret: &event.secret,
                token: &event.token,
                current,
                // the same key under another version, written by hand: it is in use
                previous: held
                    .previous(&versions)
                    .filter(|previous| previous.username() != current.username()),
                held: ids.as_deref(),
                seen: seen.as_deref(),
                overlaps: overlaps(overlap, since, self.now) || held.pins_previous(&versions),
                overlap,
            };
            if let Some(stored) = stored {
                let stored = document::<T>(&stored, which)?;
                return self.settle(&minting, &stored, None, which).await;
            }
            match self.engine.mint(&minting).await {
                Ok(minted) => return self.store(event, &minting, &minted).await,
                Err(EngineError::LeftOver { seen: listed, .. }) if seen.is_none() => {
                    // what is listed now and held by no version afterwards is nobody's, even if this delivery was held
                    // up meanwhile, or the first look lagged
                    versions = self.store.versions(&event.secret).await?;
                    if let Standing::Current = versions::standing(&versions, &event.token)? {
                        return Ok(Outcome::AlreadyCurrent);
                    }
                    versions::up_to_date(&versions, Which::Current, &version.id)?;
                    seen = Some(listed);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn store(
        &self,
        event: &RotationEvent,
        minting: &Minting<'_>,
        minted: &Document,
    ) -> Result<Outcome, Error> {
        let which = Which::Pending(&event.token);
        match self.write_pending(event, minted).await? {
            Written::Stored => {
                self.settle(minting, minted, None, which).await?;
                Ok(Outcome::Created)
            }
            Written::Conflict => {
                let stored = self.store.read(&event.secret, which).await;
                match self.pending(event, stored).await? {
                    Pending::AlreadyCurrent => Ok(Outcome::AlreadyCurrent),
                    Pending::Staged(stored) => {
                        self.settle(minting, &stored, Some(minted), which).await
                    }
                }
            }
        }
    }

    async fn settle(
        &self,
        minting: &Minting<'_>,
        stored: &Document,
        minted: Option<&Document>,
        which: Which<'_>,
    ) -> Result<Outcome, Error> {
        same_server(minting.current, stored, which)?;
        self.engine.settle(minting, stored, minted).await?;
        Ok(Outcome::AlreadyCreated)
    }
}

/// Whether clients may still use what was replaced at `since`. Without a bound they may until the next rotation.
fn overlaps(overlap: Overlap, since: Option<SystemTime>, now: SystemTime) -> bool {
    match (overlap, since) {
        // an end that no clock can tell is not reached
        (Overlap::Bounded(window), Some(since)) => {
            since.checked_add(window).is_none_or(|end| end > now)
        }
        (Overlap::Bounded(_), None) | (Overlap::Unbounded, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_overlap_lasts_from_the_replacement_until_its_window_is_over() {
        let since = SystemTime::UNIX_EPOCH;
        let window = Overlap::Bounded(Duration::from_secs(60));
        for (overlap, since, seconds, open) in [
            (window, Some(since), 59, true),
            (window, Some(since), 60, false),
            (window, None, 0, false),
            (Overlap::Unbounded, Some(since), 1, false),
            (Overlap::Bounded(Duration::MAX), Some(since), 1, true),
        ] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(
                overlaps(overlap, since, now),
                open,
                "{overlap:?}, {seconds}"
            );
        }
    }
}
