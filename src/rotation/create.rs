//! createSecret: generate the new credential and store it as AWSPENDING.

use rand::TryCryptoRng;

use super::{Outcome, Pending, document, pending, same_server, versions};
use crate::{
    error::Error,
    event::RotationEvent,
    password::Policy,
    store::{SecretStore, Which, Written},
    target::Target,
};

pub(super) async fn run<S: SecretStore, T: Target>(
    store: &S,
    target: &T,
    policy: &Policy,
    rng: &mut impl TryCryptoRng,
    event: &RotationEvent,
) -> Result<Outcome, Error> {
    let (versions, current) = tokio::join!(
        store.versions(&event.secret),
        store.read(&event.secret, Which::Current)
    );
    if let versions::Standing::Current = versions::standing(&versions?, &event.token)? {
        return Ok(Outcome::AlreadyCurrent);
    }
    let current = current?.ok_or(versions::Refusal::NoCurrentVersion)?;
    let current = document(&current, Which::Current)?;

    let proposed = target.propose(&current, policy.generate(rng)?);
    let json = proposed.to_json().map_err(|error| Error::Unwritable {
        reason: error.to_string(),
    })?;
    let written = store
        .write_pending(
            &event.secret,
            &event.token,
            event.rotation_token.as_ref(),
            &json,
        )
        .await?;
    match written {
        Written::Stored => Ok(Outcome::Created),
        // An earlier delivery was here. Its password stands, for it may be in the database already, and the
        // one made just now is forgotten. Not to look first spares the usual rotation a call.
        Written::Conflict => {
            let which = Which::Pending(&event.token);
            match pending(store, event, store.read(&event.secret, which).await).await? {
                Pending::AlreadyCurrent => Ok(Outcome::AlreadyCurrent),
                Pending::Staged(stored) => {
                    same_server(&current, &stored, which).map(|()| Outcome::AlreadyCreated)
                }
            }
        }
    }
}
