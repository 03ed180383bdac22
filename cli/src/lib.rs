//! The operator's command, `rotatectl`.
//!
//! Each command is a module of its own, with its arguments and its errors: [`status`], [`rotate`], [`compromised`],
//! [`doctor`], [`drill`], and [`mod@reference`] for what is about the command itself. Above them stand [`arguments`], the
//! command line, and [`Error`]. Below them, and knowing none of them, stands what they share: [`aws`] is the services and
//! their errors, [`secrets`] the list of what rotates, [`follow`] one rotation from its beginning to its end, [`log`] what
//! the function said, [`pace`] keeps below quotas, [`login`] tries credentials, [`terminal`] is what is printed with.

pub mod arguments;
pub mod aws;
pub mod compromised;
pub mod doctor;
pub mod drill;
mod error;
pub mod follow;
pub mod log;
pub mod login;
pub mod pace;
pub mod reference;
pub mod rotate;
pub mod secrets;
pub mod status;
pub mod terminal;

use std::process::ExitCode;

use clap::CommandFactory;

use arguments::{Arguments, Command};
pub use error::Error;

/// Runs the command; its exit code is 0, or 2 where it has found something that wants attention.
///
/// # Errors
///
/// It could not do or find out what it was asked to (exit code 1).
pub async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let configuration = aws::configuration(&arguments.aws);
    Ok(match arguments.command {
        Command::Status(arguments) => status::run(&configuration.await?, arguments).await?,
        Command::Rotate(arguments) => rotate::run(&configuration.await?, arguments).await?,
        Command::Compromised(arguments) => {
            compromised::run(&configuration.await?, arguments).await?
        }
        // deep in itself, it is taken off the stack of types here
        Command::Doctor(doctor) => {
            Box::pin(doctor::run(&doctor, &arguments.aws, &configuration.await?)).await?
        }
        Command::Drill(drill) => drill::run(&arguments.aws, &drill).await?,
        Command::Completions(arguments) => {
            reference::completions(Arguments::command(), &arguments)?
        }
        Command::Man(arguments) => reference::man(Arguments::command(), &arguments)?,
    })
}
