//! The operator's command, `rotatectl`.
//!
//! [`arguments`] is the command line, [`aws`] the services that it asks, [`terminal`] what it prints with, and each command
//! is a module of its own.

pub mod arguments;
pub mod aws;
pub mod doctor;
pub mod error;
pub mod terminal;

use std::process::ExitCode;

use arguments::{Arguments, Command};
pub use error::Error;

/// Runs the command; its exit code is 0, or 2 where it has found something that wants attention.
///
/// # Errors
///
/// It could not do or find out what it was asked to (exit code 1).
pub async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let configuration = aws::configuration(&arguments.aws).await?;
    match &arguments.command {
        Command::Doctor(doctor) => {
            // deep in itself, it is taken off the stack of types here
            Box::pin(doctor::run(doctor, &arguments.aws, &configuration)).await
        }
    }
}
