//! testSecret: prove that the new credential logs in.
//!
//! `RotateSecret` with `RotateImmediately=false` calls this step alone, with an AWSPENDING version that the
//! service made itself. So it looks at nothing but that version, and changes nothing.

use super::{Outcome, Pending, Rotation};
use crate::{
    engine::{Engine, Login},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn test(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let staged = self
            .store
            .read(&event.secret, Which::Pending(&event.token))
            .await;
        let Pending::Staged(staged) = self.pending(event, staged).await? else {
            return Ok(Outcome::AlreadyCurrent);
        };
        match self.engine.first_log_in(&staged).await? {
            Login::Accepted(session) => {
                self.engine.prove(session, &staged, &event.token).await?;
                Ok(Outcome::LoggedIn)
            }
            Login::Rejected => Err(Error::PendingRejected {
                user: staged.username().to_owned(),
                server: staged.server(),
            }),
        }
    }
}
