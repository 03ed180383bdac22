//! The commands `local up` and `local schedule`, which rotatectl has too.

mod schedule;
mod up;

use std::io::{self, ErrorKind, Write};

use clap::{Args, Subcommand};

use crate::{executable, secrets_manager::ServiceError, world};

pub use self::{schedule::ScheduleArguments, up::UpArguments};

/// Where `local up` serves unless it is told.
const PORT: u16 = 4599;

/// A world on this machine: a Secrets Manager that really rotates, a Lambda host that runs the real function, a PostgreSQL.
///
/// The stock AWS CLI and SDKs speak to it with any credentials. Nothing of it is left behind when it ends.
#[derive(Debug, Args)]
pub struct LocalArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. Each command's arguments stand in its own module, and so does its help.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a variant's documentation would take the place of its arguments' in the help"
)]
pub enum Command {
    Up(UpArguments),
    Schedule(ScheduleArguments),
}

/// Runs a command to its end.
///
/// # Errors
///
/// It could not do what it was asked to.
pub async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Up(arguments) => up::run(arguments).await,
        Command::Schedule(arguments) => schedule::run(&arguments).await,
    }
}

/// Why a command did not do what it was asked to: what happened, then what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// The function's executable.
    #[error(transparent)]
    Executable(#[from] executable::Error),
    /// There is no world.
    #[error(transparent)]
    World(#[from] world::Error),
    /// The token that is to be staged.
    #[error("the token cannot be staged: {0}")]
    Stage(#[from] ServiceError),
    /// No world answers.
    #[error(
        "no world answers at {endpoint} ({said}): start one with `rotatectl local up`, or say with --endpoint-url where it is"
    )]
    NoWorld { endpoint: String, said: String },
    /// The world does not do it.
    #[error("{0}")]
    Refused(String),
    /// Signals, or the output.
    #[error("this machine does not let it work ({0}): check where the output goes")]
    Io(#[from] io::Error),
}

/// What a terminal would obey instead of showing it is left out: names come from elsewhere.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Writes a line to stdout. That somebody closed it, as `head` does, is no error.
fn print(line: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{}", printable(line)) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
