//! createSecret: generate the new credential, or have it made (`mint`), and store it as AWSPENDING.

use rand::TryCryptoRng;

use super::{Outcome, Rotation, document, versions, while_reads_lag};
use crate::{
    document::Document,
    engine::Engine,
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which, Written},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn create(
        &self,
        rng: &mut impl TryCryptoRng,
        event: &RotationEvent,
    ) -> Result<Outcome, Error> {
        while_reads_lag(async || self.create_once(rng, event).await).await
    }

    async fn create_once(
        &self,
        rng: &mut impl TryCryptoRng,
        event: &RotationEvent,
    ) -> Result<Outcome, Error> {
        let (versions, current) = tokio::join!(
            self.store.versions(&event.secret),
            self.store.read(&event.secret, Which::Current)
        );
        let versions = versions?;
        if let versions::Standing::Current = versions::standing(&versions, &event.token)? {
            return Ok(Outcome::AlreadyCurrent);
        }
        let version = current?.ok_or(versions::Refusal::NoCurrentVersion)?;
        versions::up_to_date(&versions, Which::Current, &version.id)?;
        let current = document::<T>(&version, Which::Current)?;
        let outcome = if self.engine.mints(&current) {
            self.mint(event, versions, &version, &current).await?
        } else {
            self.propose(rng, event, &current).await?
        };
        self.memory.keep(event, &current, version.created);
        Ok(outcome)
    }

    async fn propose(
        &self,
        rng: &mut impl TryCryptoRng,
        event: &RotationEvent,
        current: &Document,
    ) -> Result<Outcome, Error> {
        let password = self.policy.generate(rng)?;
        let overlap = self.overlap(current);
        let proposed = self.engine.propose(current, password, overlap)?;
        match self.write_pending(event, &proposed).await? {
            Written::Stored => Ok(Outcome::Created),
            // An earlier delivery was here. Its password stands, for it may be in the database already, and the
            // one made just now is forgotten. Not to look first spares the usual rotation a call.
            Written::Conflict => Ok(match self.staged(event, current).await? {
                None => Outcome::AlreadyCurrent,
                Some(_) => Outcome::AlreadyCreated,
            }),
        }
    }
}
