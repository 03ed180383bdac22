//! The command line.

use std::slice;

use clap::{Parser, Subcommand};

use crate::{
    aws::AwsArguments,
    compromised::CompromisedArguments,
    doctor::DoctorArguments,
    drill::DrillArguments,
    init::InitArguments,
    reference::{CompletionsArguments, ManArguments},
    revoke::RevokeArguments,
    rollback::RollbackArguments,
    rotate::RotateArguments,
    status::StatusArguments,
};

/// Make, see, rotate, roll back, revoke, diagnose and rehearse secrets that Secrets Manager rotates.
///
/// No secret is printed, and none is taken on the command line. Colours are left out where NO_COLOR is set or the output is
/// no terminal.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:
  rotatectl init orders/db --username orders --administrator rds/admin
                                            a new secret, and its role
  rotatectl status                          what is overdue, stuck, and why
  rotatectl rotate orders/db --wait         rotate one now, step by step
  rotatectl compromised orders/db           after a leak
  rotatectl revoke orders/db                end what came before AWSCURRENT
  rotatectl rollback orders/db              after a bad rotation: AWSPREVIOUS is current again
  rotatectl doctor orders/db                what is wrong with it, and what to do

Exit codes: 0 all is well, 1 it could not be done, 2 something needs attention, 3 something could not be found out."
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
    Init(InitArguments),
    Status(StatusArguments),
    Rotate(RotateArguments),
    Revoke(RevokeArguments),
    Rollback(RollbackArguments),
    Compromised(CompromisedArguments),
    Doctor(DoctorArguments),
    Drill(DrillArguments),
    #[cfg(feature = "local")]
    Local(local::command::LocalArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

impl Command {
    /// The secrets that are named, each by its name or ARN.
    pub(crate) fn secrets(&self) -> &[String] {
        match self {
            Self::Rotate(rotate) => &rotate.secret,
            Self::Revoke(revoke) => slice::from_ref(&revoke.asked.secret),
            Self::Rollback(rollback) => slice::from_ref(&rollback.asked.secret),
            Self::Compromised(compromised) => slice::from_ref(&compromised.secret),
            Self::Doctor(doctor) => slice::from_ref(&doctor.secret),
            // a name decides nothing, the administrator's ARN does
            Self::Init(init) => slice::from_ref(&init.administrator),
            Self::Drill(drill) => drill.secret.as_slice(),
            Self::Status(_) | Self::Completions(_) | Self::Man(_) => &[],
            #[cfg(feature = "local")]
            Self::Local(_) => &[],
        }
    }
}
