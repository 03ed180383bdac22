//! `rotatectl rollback`: after a bad rotation, AWSPREVIOUS is current again.

use std::process::ExitCode;

use aws_config::SdkConfig;
use clap::Args;

use crate::{
    operate::{Asked, Error, Words, operate},
    operator::{Operator, RolledBack},
};

/// Undo the last rotation: AWSPREVIOUS is current again, and its password has no end.
///
/// The function first checks that AWSPREVIOUS logs in. So this works within the overlap window, and not after a revocation. The
/// credential that was current ends when its own window is over. It needs alternating users: a single user's old password is gone.
/// A second run undoes the first.
///
/// It needs secretsmanager:DescribeSecret and lambda:InvokeFunction on the function.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl rollback orders/db                      asks first
  rotatectl rollback orders/db --yes --json")]
pub struct RollbackArguments {
    /// The secret, and how to ask and print.
    #[command(flatten)]
    pub asked: Asked,
}

/// Rolls back, and prints what the function did.
///
/// # Errors
///
/// The secret has no function, or the function failed.
pub async fn run(
    configuration: &SdkConfig,
    arguments: RollbackArguments,
) -> Result<ExitCode, Error> {
    let words = Words {
        about: "rolling back",
        question: "Make AWSPREVIOUS current again now?",
        waiting: "the function makes AWSPREVIOUS current again",
    };
    let send = async |operator: Operator, secret: &str, function: &str| {
        operator.roll_back(secret, function).await
    };
    let line = |done: &RolledBack| done.outcome.clone();
    operate(configuration, &arguments.asked, words, send, line).await
}
