//! The operator's command, `rotatectl`.
//!
//! Each command is a module of its own, with its arguments and its errors: [`status`], [`audit`], [`rotate`], [`compromised`],
//! [`revoke`], [`rollback`], [`doctor`], [`drill`], [`init`], and [`mod@reference`] for what is about the command itself; with the
//! feature `local` those of the crate `local` are among them. Above them stand [`arguments`], the
//! command line, and [`Error`]. Below them, and knowing none of them, stands what they share: [`aws`] is the services and
//! their errors, [`secrets`] the list of what rotates, [`follow`] one rotation from its beginning to its end, [`operator`] the function's
//! steps that operators send, [`operate`] how a command sends one, [`log`] what
//! the function said, [`settings`] what it is set to, [`schedule`] how often a secret rotates, [`pace`] keeps below quotas, [`login`] tries credentials, `policy` reads who may invoke the function, [`retry`] makes a call again, `shell` is the commands that are printed, [`confirm`](mod@confirm)
//! asks, [`complete`] completes names, [`heartbeat`] shows that something goes on, [`terminal`] is what is printed
//! with, and [`table`] how tables fit it.

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

/// Runs the command; its exit code is 0, 2 where something needs attention, or 3 where something could not be found out.
///
/// # Errors
///
/// It could not do or find out what it was asked to (exit code 1).
pub async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    arguments.color.apply();
    let (given, command) = (arguments.aws, arguments.command);
    // what it has done by then it has to say itself
    let limit = given
        .timeout
        .filter(|_| !matches!(command, Command::Compromised(_)));
    // deep in themselves, the commands are taken off the stack of types here
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
