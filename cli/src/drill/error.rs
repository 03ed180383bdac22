//! Why a rehearsal failed.

use std::io;

use crate::{aws, confirm::NotConfirmed, follow};

/// What happened, then what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service of AWS failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The operator did not confirm.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The secret does not rotate.
    #[error(
        "rotation is not enabled for {secret}: turn it on first, with aws secretsmanager rotate-secret --rotation-lambda-arn"
    )]
    NotEnabled { secret: String },
    /// A rotation is in progress.
    #[error(
        "a rotation of {secret} is in progress already: rehearse when it has ended (rotatectl status)"
    )]
    UnderWay { secret: String },
    /// The rotation does not end.
    #[error("{source} (in that time {failures} of the application's {requests} requests failed)")]
    NotRotated {
        source: follow::Error,
        requests: usize,
        failures: usize,
    },
    /// The application or the report failed.
    #[error(transparent)]
    Drill(#[from] drill::Error),
    /// rotatectl was built without the local world.
    #[cfg(not(feature = "local"))]
    #[error(
        "this rotatectl was built without the local world: build it with the local world from the project's folder \
         (cargo install --path cli --features local), or name a secret without --local"
    )]
    NoLocalWorld,
    /// The function's executable is missing.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Executable(#[from] local::executable::Error),
    /// The local world does not start.
    #[cfg(feature = "local")]
    #[error(transparent)]
    World(#[from] local::world::Error),
    /// The demo of `--local` failed.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Demo(#[from] drill::demo::Error),
    /// The result could not be written.
    #[error("stdout cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
}
