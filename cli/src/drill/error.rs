//! Why there is no rehearsal.

use std::io;

use crate::{aws, confirm::NotConfirmed, follow};

/// What happened, then what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// Nobody said yes.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The secret cannot be rotated.
    #[error(
        "rotation is not enabled for {secret}: give it a function with RotateSecret's RotationLambdaARN first"
    )]
    NotEnabled { secret: String },
    /// Somebody rotates it already.
    #[error(
        "a rotation of {secret} is under way already: rehearse when it has ended (rotatectl status)"
    )]
    UnderWay { secret: String },
    /// The rotation does not come to its end.
    #[error("{source} (of the application's {requests} requests meanwhile {failures} failed)")]
    NotRotated {
        source: follow::Error,
        requests: usize,
        failures: usize,
    },
    /// The application, or the report.
    #[error(transparent)]
    Drill(#[from] drill::Error),
    /// Built without the local world.
    #[cfg(not(feature = "local"))]
    #[error(
        "this rotatectl was built without the local world: build one that has it from the project's folder \
         (cargo install --path cli --features local), or name a secret without --local"
    )]
    NoLocalWorld,
    /// The function's executable.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Executable(#[from] local::executable::Error),
    /// The local world.
    #[cfg(feature = "local")]
    #[error(transparent)]
    World(#[from] local::world::Error),
    /// What `--local` shows.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Demo(#[from] drill::demo::Error),
    /// The result could not be written.
    #[error("stdout cannot be written to ({0}): check where it goes")]
    Output(#[from] io::Error),
}
