//! The operator's command, `rotatectl`.
//!
//! | modules | what |
//! |---|---|
//! | [`arguments`], [`Error`] | the command line, and why a command failed |
//! | [`status`], [`audit`], [`rotate`], [`compromised`], [`revoke`], [`rollback`], [`doctor`], [`drill`], [`init`] | one command each |
//! | [`mod@reference`] | `completions` and `man` |
//! | [`aws`], [`secrets`], [`retry`], [`pace`] | the services and their errors, the list of secrets, retries, quotas |
//! | [`follow`], [`log`] | one rotation from start to end, and the function's log |
//! | [`operator`], [`operate`] | the steps that only operators send, and how a command sends them |
//! | [`settings`], [`schedule`], `policy`, [`login`] | the function's settings, a secret's schedule, policies, logins |
//! | [`terminal`], [`table`], [`heartbeat`], [`report`], `shell` | output: lines, tables, signs of life, JSON, commands to copy |
//! | [`confirm`](mod@confirm), [`complete`] | questions before a change, and completion of names |
//!
//! A command's module may use the modules below the commands in this table, but no other command.

#![warn(clippy::disallowed_methods)]

pub mod arguments;
pub mod audit;
pub mod aws;
pub mod complete;
pub mod compromised;
pub mod confirm;
pub mod doctor;
pub mod drill;
mod error;
pub mod follow;
pub mod heartbeat;
pub mod init;
pub mod log;
pub mod login;
pub mod operate;
pub mod operator;
pub mod pace;
mod policy;
pub mod reference;
pub mod report;
pub mod retry;
pub mod revoke;
pub mod rollback;
pub mod rotate;
pub mod schedule;
pub mod secrets;
pub mod settings;
mod shell;
pub mod status;
pub mod table;
pub mod terminal;

use std::process::ExitCode;

use clap::CommandFactory;

use arguments::{Arguments, Command};
use aws::AwsArguments;
pub use error::Error;

/// Runs the command. The exit code is 0; or 2 if something needs attention; or 3 if something could not be found out.
///
/// # Errors
///
/// The command failed (exit code 1).
pub async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    arguments.color.apply();
    let (given, command) = (arguments.aws, arguments.command);
    // compromised has its own limit: it must report what it has done
    let limit = given
        .timeout
        .filter(|_| !matches!(command, Command::Compromised(_)));
    // boxed: the commands' nested futures make a type that is too deep for the compiler
    let work = Box::pin(run_command(&given, command));
    match limit {
        None => work.await,
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(ended) => ended,
            Err(_) => Err(Error::TimedOut { limit }),
        },
    }
}

async fn run_command(given: &AwsArguments, command: Command) -> Result<ExitCode, Error> {
    if let (Some(local), Some(option)) = (command.without_aws(), given.named()) {
        return Err(Error::NotAws { local, option });
    }
    let secrets = command.secrets().to_vec();
    let configuration = aws::configuration(given, &secrets);
    Ok(match command {
        Command::Status(status) => status::run(&configuration.await?, status).await?,
        Command::Audit(audit) => audit::run(&configuration.await?, audit).await?,
        Command::Rotate(rotate) => rotate::run(&configuration.await?, rotate).await?,
        Command::Revoke(revoke) => revoke::run(&configuration.await?, revoke).await?,
        Command::Rollback(rollback) => rollback::run(&configuration.await?, rollback).await?,
        Command::Compromised(compromised) => {
            compromised::run(&configuration.await?, compromised, given.timeout).await?
        }
        Command::Doctor(doctor) => doctor::run(&doctor, given, &configuration.await?).await?,
        Command::Init(init) => init::run(&configuration.await?, init, given).await?,
        Command::Drill(drill) => drill::run(given, &drill).await?,
        #[cfg(feature = "local")]
        Command::Local(asked) => {
            local::command::run(asked.command).await?;
            ExitCode::SUCCESS
        }
        Command::Completions(completions) => reference::completions(&completions)?,
        Command::Man(man) => reference::man(Arguments::command(), &man)?,
    })
}
