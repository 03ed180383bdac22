//! testSecret: prove that the new credential logs in.
//!
//! `RotateSecret` with `RotateImmediately=false` calls this step alone, with an AWSPENDING version that the
//! service made itself. So it looks at nothing but that version, and changes nothing.

use super::{Outcome, Pending, pending};
use crate::{
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Which},
    target::{Login, Target},
};

pub(super) async fn run<S: SecretStore, T: Target>(
    store: &S,
    target: &T,
    event: &RotationEvent,
) -> Result<Outcome, Error> {
    let staged = store
        .read(&event.secret, Which::Pending(&event.token))
        .await;
    let Pending::Staged(staged) = pending(store, event, staged).await? else {
        return Ok(Outcome::AlreadyCurrent);
    };
    match target.log_in(&staged).await? {
        Login::Accepted(_) => Ok(Outcome::LoggedIn),
        Login::Rejected => Err(Error::PendingRejected {
            user: staged.username().to_owned(),
            server: format!("{}:{}", staged.host(), staged.port()),
        }),
    }
}
