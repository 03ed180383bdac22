//! Why there is no rehearsal.

use std::{io, path::PathBuf};

/// What happened, then what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] crate::aws::Error),
    /// Nobody said yes.
    #[error(
        "a drill changes the secret's real password, and there is no terminal to ask on: give --yes, or rehearse with --local"
    )]
    NotConfirmed,
    /// Somebody said no.
    #[error("nothing was rotated: the answer was no")]
    Declined,
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
        source: crate::rotate::follow::Error,
        requests: usize,
        failures: usize,
    },
    /// The secret's client.
    #[error(transparent)]
    Client(#[from] rotating_secret::BuildError),
    /// The secret's client, later.
    #[error(transparent)]
    Read(#[from] rotating_secret::Error),
    /// The database.
    #[error("the database cannot be asked for its time: {0}")]
    Database(String),
    /// The application.
    #[error(transparent)]
    Application(#[from] local::application::Error),
    /// The function's executable.
    #[error(transparent)]
    Executable(#[from] local::executable::Error),
    /// The local world.
    #[error(transparent)]
    World(#[from] local::world::Error),
    /// What `--local` shows.
    #[error(transparent)]
    Demo(#[from] local::demo::Error),
    /// The report cannot be written.
    #[error("the report cannot be written to {} ({reason}): name another file with --report", file.display())]
    Report { file: PathBuf, reason: io::Error },
    /// The report cannot be drawn.
    #[error("the report cannot be drawn ({0}): this is a fault of rotatectl")]
    NotDrawn(String),
    /// The result could not be written.
    #[error("stdout cannot be written to ({0}): check where it goes")]
    Output(#[from] io::Error),
}
