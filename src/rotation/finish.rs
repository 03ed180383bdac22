//! finishSecret: make the new version AWSCURRENT.

use super::{Outcome, versions};
use crate::{
    error::Error,
    event::RotationEvent,
    store::{SecretStore, StoreError},
};

pub(super) async fn run<S: SecretStore>(
    store: &S,
    event: &RotationEvent,
) -> Result<Outcome, Error> {
    let versions = store.versions(&event.secret).await?;
    // AWSPENDING is left where it is: the service takes it off, or not, and both end states are legal
    let versions::Standing::Pending { current } = versions::standing(&versions, &event.token)?
    else {
        return Ok(Outcome::AlreadyCurrent);
    };
    match store.promote(&event.secret, &event.token, current).await {
        Ok(()) => Ok(Outcome::Promoted),
        // the label was elsewhere already: moved by a second delivery of this very step, or by somebody else
        Err(refused @ StoreError::Refused { .. }) => {
            let versions = store.versions(&event.secret).await?;
            match versions::standing(&versions, &event.token)? {
                versions::Standing::Current => Ok(Outcome::AlreadyCurrent),
                versions::Standing::Pending { .. } => Err(refused.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
