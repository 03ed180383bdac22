//! testSecret: prove that the new credential logs in.
//!
//! `RotateSecret` with `RotateImmediately=false` calls this step alone, with an AWSPENDING version that the
//! service made itself, a copy of AWSCURRENT. It changes nothing.

use std::sync::Arc;

use super::{Outcome, Pending, Rotation, document, fits, versions};
use crate::{
    engine::{Engine, Login},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn test(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let which = Which::Pending(&event.token);
        let staged = self.store.read(&event.secret, which).await;
        let Pending::Staged(staged) = self.pending(event, staged).await? else {
            return Ok(Outcome::AlreadyCurrent);
        };
        let read = async || {
            let current = self.store.read(&event.secret, Which::Current).await?;
            let current = current.ok_or(versions::Refusal::NoCurrentVersion)?;
            document::<T>(&current, Which::Current)
        };
        // before anything is sent: anyone who can write the secret may have staged another server
        let current = match self.memory.replaced_by(event) {
            Some(replaced) => replaced.document,
            None => Arc::new(read().await?),
        };
        let staged = fits(&current, *staged, which)?;
        // the remembered document has no password
        let proof = self.engine.prove(&staged, &event.token, read);
        match proof.await? {
            Login::Accepted(()) => {
                self.memory.keep_login(event);
                Ok(Outcome::LoggedIn)
            }
            Login::Rejected => Err(Error::PendingRejected {
                user: staged.username().to_owned(),
                server: staged.server(),
            }),
        }
    }
}
