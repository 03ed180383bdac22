//! `rotatectl revoke`: ends what came before AWSCURRENT now, and not when its overlap window is over.

use std::{io, process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use clap::Args;

use crate::{
    aws::{self, Place},
    confirm::{NotConfirmed, confirm},
    follow::{self, Rotations},
    heartbeat,
    revocation::{self, Revocation},
    terminal::{print, print_json},
};

/// End what came before AWSCURRENT: its password or key, and all sessions that it opened.
///
/// AWSCURRENT logs in first, and is not touched. It is what rotatectl compromised does after each rotation; alone it ends an
/// overlap window early.
///
/// It needs secretsmanager:DescribeSecret and lambda:InvokeFunction on the function.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl revoke orders/db                        asks before it does anything
  rotatectl revoke orders/db --yes --json")]
pub struct RevokeArguments {
    /// The secret's name or ARN.
    pub secret: String,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why nothing was revoked, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The secret has no function.
    #[error(transparent)]
    NotSetUp(#[from] follow::Error),
    /// The function did not revoke.
    #[error(transparent)]
    Revocation(#[from] revocation::Error),
    /// Nobody said yes.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The result could not be written.
    #[error("it is done, and the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
}

/// Revokes, and prints what the function did.
///
/// # Errors
///
/// The secret has no function, or the function failed.
pub async fn run(configuration: &SdkConfig, arguments: RevokeArguments) -> Result<ExitCode, Error> {
    let secret = &arguments.secret;
    let rotations = Rotations::new(configuration, Duration::ZERO);
    let described = rotations.describe(secret).await?;
    let arn = described.arn().unwrap_or(secret);
    let function = described
        .rotation_lambda_arn()
        .ok_or(follow::Error::NotSetUp)?;
    let name = described.name().unwrap_or(secret);
    let place = Place::of(arn).map_or_else(String::new, |place| format!(" in {place}"));
    confirm(
        &format!("revoking what came before AWSCURRENT of {name}{place}"),
        "End its credential and all its sessions now?",
        arguments.yes,
    )?;
    let revocation = Revocation::new(configuration);
    let what = || "the function ends what came before AWSCURRENT".to_owned();
    let revoked = heartbeat::during(what, revocation.revoke(arn, function)).await?;
    if arguments.json {
        print_json(&revoked)?;
    } else {
        print(&format!(
            "{name}: {}, sessions ended: {}",
            revoked.outcome, revoked.sessions_ended
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
