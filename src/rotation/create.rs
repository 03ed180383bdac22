//! createSecret: generate the new credential, or have it made (`mint`), and store it as AWSPENDING.

use rand::TryCryptoRng;

use super::{Outcome, Pending, Rotation, document, same_server, versions};
use crate::{
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
        let (versions, current) = tokio::join!(
            self.store.versions(&event.secret),
            self.store.read(&event.secret, Which::Current)
        );
        let versions = versions?;
        if let versions::Standing::Current = versions::standing(&versions, &event.token)? {
            return Ok(Outcome::AlreadyCurrent);
        }
        let version = current?.ok_or(versions::Refusal::NoCurrentVersion)?;
        let current = document::<T>(&version, Which::Current)?;
        self.memory.keep(&event.token, &current, version.created);
        if self.engine.mints(&current) {
            versions::up_to_date(&versions, Which::Current, &version.id)?;
            return self.mint(event, versions, &version, &current).await;
        }

        let password = self.policy.generate(rng)?;
        let proposed = self
            .engine
            .propose(&current, password, self.overlap(&current))?;
        match self.write_pending(event, &proposed).await? {
            Written::Stored => Ok(Outcome::Created),
            // An earlier delivery was here. Its password stands, for it may be in the database already, and the
            // one made just now is forgotten. Not to look first spares the usual rotation a call.
            Written::Conflict => {
                let which = Which::Pending(&event.token);
                let stored = self.store.read(&event.secret, which).await;
                match self.pending(event, stored).await? {
                    Pending::AlreadyCurrent => Ok(Outcome::AlreadyCurrent),
                    Pending::Staged(stored) => {
                        same_server(&current, &stored, which).map(|()| Outcome::AlreadyCreated)
                    }
                }
            }
        }
    }
}
