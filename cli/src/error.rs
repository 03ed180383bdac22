//! Why a command did not do what it was asked to: what happened, then what to do.

use std::io;

/// One kind for each place that errors come from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] crate::aws::Error),
    /// A repair.
    #[error(transparent)]
    Repair(#[from] crate::doctor::RepairError),
    /// The function's settings.
    #[error(transparent)]
    Settings(#[from] secret_rotation::settings::SettingsError),
    /// The result could not be written.
    #[error("stdout cannot be written to ({0}): check where it goes")]
    Output(#[from] io::Error),
}
