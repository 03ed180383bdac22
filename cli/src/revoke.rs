//! `rotatectl revoke`: ends the credential before AWSCURRENT now, before its overlap window is over.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;

use crate::{
    operate::{Asked, Error, Words, operate},
    operator::{Operator, Revoked},
};

/// End the credential before AWSCURRENT: its password or key, and all its sessions.
///
/// The function first checks that AWSCURRENT logs in, and does not change it. rotatectl compromised does this after each rotation.
/// On its own, the command ends an overlap window early.
///
/// It needs secretsmanager:DescribeSecret and lambda:InvokeFunction on the function.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl revoke orders/db                        asks first
  rotatectl revoke orders/db --yes --json")]
pub struct RevokeArguments {
    /// The secret, and how to ask and print.
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
        about: "revoking the credential before AWSCURRENT of",
        question: "End its credential and all its sessions now?",
        waiting: "the function ends the credential before AWSCURRENT",
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
