//! The commands `local up` and `local schedule`, which are also in rotatectl.

mod schedule;
mod up;

use std::io::{self, ErrorKind, Write};

use clap::{Args, Subcommand};

use crate::{executable, secrets_manager::ServiceError, world};

pub use self::{schedule::ScheduleArguments, up::UpArguments};

/// The default port of `local up`.
const PORT: u16 = 4599;

/// Run a world on this machine: a Secrets Manager that rotates, a Lambda host that runs the real function, and PostgreSQL.
///
/// The AWS CLI and SDKs work with it, with any credentials. When it ends, it leaves nothing behind.
#[derive(Debug, Args)]
pub struct LocalArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. Each command's module holds its arguments and its help.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "the help shows the documentation of the arguments, not of the variant"
)]
pub enum Command {
    Up(UpArguments),
    Schedule(ScheduleArguments),
}

/// Runs a command to its end.
///
/// # Errors
///
/// The command failed.
pub async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Up(arguments) => up::run(arguments).await,
        Command::Schedule(arguments) => schedule::run(&arguments).await,
    }
}

/// Why a command failed: what happened, then what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// The function's executable is missing.
    #[error(transparent)]
    Executable(#[from] executable::Error),
    /// The world does not start.
    #[error(transparent)]
    World(#[from] world::Error),
    /// --stage failed.
    #[error("the token cannot be staged: {0}")]
    Stage(#[from] ServiceError),
    /// No world answers.
    #[error(
        "no world answers at {endpoint} ({said}): start one with `rotatectl local up`, or give its address with --endpoint-url"
    )]
    NoWorld { endpoint: String, said: String },
    /// The world refuses the request.
    #[error("{0}")]
    Refused(String),
    /// A signal handler or the output failed.
    #[error("the output or a signal handler failed ({0}): check where stdout goes")]
    Io(#[from] io::Error),
}

/// Removes control characters, which a terminal would obey: names come from outside.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Writes a line to stdout. A closed pipe (`head`) is no error.
fn print(line: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{}", printable(line)) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
