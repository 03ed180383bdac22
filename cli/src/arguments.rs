//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    aws::AwsArguments,
    compromised::CompromisedArguments,
    doctor::DoctorArguments,
    drill::DrillArguments,
    reference::{CompletionsArguments, ManArguments},
    rotate::RotateArguments,
    status::StatusArguments,
};

/// See, rotate, revoke, diagnose and rehearse secrets that Secrets Manager rotates.
///
/// No secret is printed, and none is taken on the command line. Colours are left out where NO_COLOR is set or the output is
/// no terminal.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:
  rotatectl status                          what is overdue, stuck, and why
  rotatectl rotate orders/db --wait         rotate one now, step by step
  rotatectl compromised orders/db           after a leak
  rotatectl doctor orders/db                what is wrong with it, and what to do

Exit codes: 0 all is well, 1 it could not be done, 2 something wants attention."
)]
pub struct Arguments {
    /// Where and as whom.
    #[command(flatten)]
    pub aws: AwsArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. Each command's arguments stand in its own module, and so does its help.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a variant's documentation would take the place of its arguments' in the help"
)]
pub enum Command {
    Status(StatusArguments),
    Rotate(RotateArguments),
    Compromised(CompromisedArguments),
    Doctor(DoctorArguments),
    Drill(DrillArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}
