//! `rotatectl revoke`: ends what came before AWSCURRENT now, and not when its overlap window is over.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;

use crate::{
    operate::{Asked, Error, Words, operate},
    operator::{Operator, Revoked},
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
    /// Of which secret.
    #[command(flatten)]
    pub asked: Asked,
}

/// Revokes, and prints what the function did.
///
/// # Errors
///
/// The secret has no function, or the function failed.
pub async fn run(configuration: &SdkConfig, arguments: RevokeArguments) -> Result<ExitCode, Error> {
    let words = Words {
        about: "revoking what came before AWSCURRENT of",
        question: "End its credential and all its sessions now?",
        waiting: "the function ends what came before AWSCURRENT",
    };
    let send = async |operator: Operator, secret: &str, function: &str| {
        operator.revoke(secret, function).await
    };
    operate(
        configuration,
        &arguments.asked,
        words,
        send,
        Revoked::to_string,
    )
    .await
}
