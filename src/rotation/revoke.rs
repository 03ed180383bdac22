//! revokeSecret: after a leak, end the credential before AWSCURRENT now, and not at the end of its overlap window.
//!
//! An operator invokes it, the service never does. It comes after a rotation: first the new credential, then the end
//! of the old one, so that nobody is locked out.

use super::{Outcome, Resting, Rotation, document, fits, versions};
use crate::{
    engine::{Engine, Login, Revoked},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which},
};

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    pub(super) async fn revoke(&self, event: &RotationEvent) -> Result<Outcome, Error> {
        let Resting {
            versions,
            version: current_version,
            current,
            previous,
        } = self.resting(event).await?;
        // nothing ends before its successor is proven to work
        let Login::Accepted(proven) = self.engine.log_in(&current).await? else {
            return Err(Error::CurrentRejected {
                user: current.username().to_owned(),
                server: current.server(),
            });
        };

        let administrator = current.administrator();
        let ended = match administrator.filter(|_| current.takes_turns()) {
            None => {
                // the version was stored in createSecret, and its password set a little later: a session that
                // began in between had the old one
                let since = current_version.created.max(versions.rotated);
                let Some(since) = since else {
                    return Ok(Outcome::NothingToRevoke);
                };
                // this changes no password, so a delay does no harm
                let wanted = async || Ok::<_, Error>(());
                self.engine
                    .revoke(proven, Revoked::SessionsBegunBefore(since), wanted)
                    .await?
            }
            Some(administrator) => {
                let administrator = self.administrator(administrator, &current).await?;
                let Some(previous) = previous? else {
                    return Ok(Outcome::NothingToRevoke);
                };
                versions::up_to_date(&versions, Which::Previous, &previous.id)?;
                let id = previous.id.clone();
                let previous = if current.api().is_some() {
                    let Some(previous) = current.about(&previous.document) else {
                        return Ok(Outcome::NothingToRevoke);
                    };
                    previous
                } else {
                    let previous = document::<T>(&previous, Which::Previous)?;
                    fits(&current, previous, Which::Previous)?
                };
                let previous = match previous.username() == current.username() {
                    false => previous,
                    true if current.api().is_some() => return Ok(Outcome::NothingToRevoke),
                    // AWSCURRENT was stored once more: its predecessor is still the other user
                    true => self.of_the_other(&current),
                };
                let revoked = Revoked::Previous {
                    administrator: &administrator,
                    previous: &previous,
                };
                // a delayed revocation must not end what is current again
                let wanted = async || {
                    let still = self.still(event, &current_version.id, &id).await;
                    still.map(drop)
                };
                self.engine.revoke(proven, revoked, wanted).await?
            }
        };
        Ok(Outcome::Revoked { ended })
    }
}
