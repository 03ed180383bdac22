//! Sends a step that only operators send: describes the secret, asks, invokes the function, prints the outcome.

use std::{io, process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use clap::Args;
use clap_complete::ArgValueCompleter;
use serde::Serialize;

use crate::{
    aws::{self, Place},
    complete,
    confirm::{NotConfirmed, confirm},
    follow::{self, Rotations},
    heartbeat,
    operator::{self, Operator},
    terminal::{print_json, say},
};

/// The secret, and how to ask and print.
#[derive(Debug, Args)]
pub struct Asked {
    /// The secret's name or ARN.
    #[arg(add = ArgValueCompleter::new(complete::names))]
    pub secret: String,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The texts of a command about its step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// What will happen, before the secret's name.
    pub(crate) about: &'static str,
    /// The question.
    pub(crate) question: &'static str,
    /// The text while the command waits.
    pub(crate) waiting: &'static str,
}

/// Why the step failed, or why its result is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The secret has no function.
    #[error(transparent)]
    NotSetUp(#[from] follow::Error),
    /// The function failed.
    #[error(transparent)]
    Step(#[from] operator::Error),
    /// The operator did not confirm.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The result could not be written.
    #[error("done, but the result cannot be written ({0}): check where stdout goes")]
    Output(#[from] io::Error),
}

/// Sends the step with `send`, and prints what the function did, as JSON or in one line.
///
/// # Errors
///
/// The secret has no function, or the function failed.
pub(crate) async fn operate<Done: Serialize>(
    configuration: &SdkConfig,
    asked: &Asked,
    words: Words,
    send: impl AsyncFnOnce(Operator, &str, &str) -> Result<Done, operator::Error>,
    line: impl FnOnce(&Done) -> String,
) -> Result<ExitCode, Error> {
    let secret = &asked.secret;
    let rotations = Rotations::new(configuration, Duration::ZERO);
    let described = rotations.describe(secret).await?;
    let arn = described.arn().unwrap_or(secret);
    let function = described
        .rotation_lambda_arn()
        .ok_or(follow::Error::NotSetUp)?;
    let name = described.name().unwrap_or(secret);
    let place = Place::of(arn).map_or_else(String::new, |place| format!(" in {place}"));
    let about = format!("{} {name}{place}", words.about);
    confirm(&about, words.question, asked.yes)?;
    let sent = send(Operator::new(configuration), arn, function);
    let done = heartbeat::during(|| words.waiting.to_owned(), sent).await?;
    if asked.json {
        print_json(&done)?;
    } else {
        say(&format!("{name}: {}", line(&done)))?;
    }
    Ok(ExitCode::SUCCESS)
}
