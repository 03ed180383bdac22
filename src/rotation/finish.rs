//! finishSecret: make the new version AWSCURRENT.

use super::{Outcome, versions};
use crate::{error::Error, event::RotationEvent, store::SecretStore};

pub(super) async fn run<S: SecretStore>(
    store: &S,
    event: &RotationEvent,
) -> Result<Outcome, Error> {
    let versions = store.versions(&event.secret).await?;
    match versions::standing(&versions, &event.token)? {
        versions::Standing::Current => Ok(Outcome::AlreadyCurrent),
        // AWSPENDING is left where it is: the service takes it off, or not, and both end states are legal
        versions::Standing::Pending { current } => {
            store.promote(&event.secret, &event.token, current).await?;
            Ok(Outcome::Promoted)
        }
    }
}
