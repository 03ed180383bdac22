//! Why a command did not do what it was asked to: what happened, then what to do.

use std::io;

/// One kind for each place that errors come from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] crate::aws::Error),
    /// [`crate::compromised`].
    #[error(transparent)]
    Compromised(#[from] crate::compromised::Error),
    /// A drill.
    #[error(transparent)]
    Drill(#[from] crate::drill::Error),
    /// A repair of [`crate::doctor`]'s.
    #[error(transparent)]
    Repair(#[from] crate::doctor::RepairError),
    /// The function's settings.
    #[error(transparent)]
    Settings(#[from] secret_rotation::settings::SettingsError),
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
    /// No secret is meant.
    #[error(
        "no secret with these tags rotates here: check --tag, --region and --profile, or see rotatectl status"
    )]
    NothingToRotate,
    /// Some rotations did not come to their end.
    #[error(
        "{failed} of {of} secrets were not rotated: the reasons stand above; when they are gone, run the command again, \
         and it goes on with the rotations that are under way"
    )]
    #[expect(missing_docs, reason = "the fields are named in the message")]
    NotRotated { failed: usize, of: usize },
    /// Ctrl-C.
    #[error(
        "interrupted: the service goes on with the rotations that have begun; run the command again to follow them"
    )]
    Interrupted,
}
