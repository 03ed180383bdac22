//! The command line.

use std::slice;

use clap::{Parser, Subcommand};

use crate::{
    audit::AuditArguments,
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
    terminal::Colors,
};

/// Make, see, rotate, roll back, revoke, diagnose and rehearse secrets that Secrets Manager rotates.
///
/// It prints no secret, and takes none on the command line.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Examples:
  rotatectl status                    what is overdue, stuck, and why
  rotatectl audit                     which secrets are not kept well
  rotatectl doctor orders/db          what is wrong with it, and what to do
  rotatectl rotate orders/db --wait   rotate it now, step by step
  rotatectl compromised orders/db     after a leak
  rotatectl revoke orders/db          end the credential before AWSCURRENT
  rotatectl rollback orders/db        after a bad rotation: AWSPREVIOUS again
  rotatectl init orders/db --username orders --administrator rds/admin
                                      a new secret, and its role

Exit codes: 0 all is well, 1 it could not be done, 2 something needs attention,
3 something could not be found out."
)]
pub struct Arguments {
    /// Where and as whom.
    #[command(flatten)]
    pub aws: AwsArguments,
    /// When to use colours: auto, always or never. auto: in a terminal, unless NO_COLOR is set.
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true
    )]
    pub color: Colors,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do. Each command's module holds its arguments and its help.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "the help shows the documentation of the arguments, not of the variant"
)]
pub enum Command {
    Init(InitArguments),
    Status(StatusArguments),
    Audit(AuditArguments),
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
    /// Whether the command prints its result as JSON on stdout.
    pub fn json(&self) -> bool {
        match self {
            Self::Status(status) => status.json,
            Self::Audit(audit) => audit.json,
            Self::Rotate(rotate) => rotate.json,
            Self::Revoke(revoke) => revoke.asked.json,
            Self::Rollback(rollback) => rollback.asked.json,
            Self::Compromised(compromised) => compromised.json,
            Self::Doctor(doctor) => doctor.json,
            Self::Init(init) => init.json,
            Self::Drill(drill) => drill.json,
            Self::Completions(_) | Self::Man(_) => false,
            #[cfg(feature = "local")]
            Self::Local(_) => false,
        }
    }

    /// The name of a command that calls no AWS service.
    pub(crate) fn without_aws(&self) -> Option<&'static str> {
        match self {
            Self::Drill(drill) if drill.local => Some("drill --local"),
            #[cfg(feature = "local")]
            Self::Local(_) => Some("local"),
            Self::Completions(_) => Some("completions"),
            Self::Man(_) => Some("man"),
            _ => None,
        }
    }

    /// The secrets on the command line, each by its name or ARN.
    pub(crate) fn secrets(&self) -> &[String] {
        match self {
            Self::Rotate(rotate) => &rotate.secret,
            Self::Revoke(revoke) => slice::from_ref(&revoke.asked.secret),
            Self::Rollback(rollback) => slice::from_ref(&rollback.asked.secret),
            Self::Compromised(compromised) => slice::from_ref(&compromised.secret),
            Self::Doctor(doctor) => slice::from_ref(&doctor.secret),
            // the administrator's ARN gives the region; the new secret has only a name
            Self::Init(init) => slice::from_ref(&init.administrator),
            Self::Drill(drill) => drill.secret.as_slice(),
            Self::Status(_) | Self::Audit(_) | Self::Completions(_) | Self::Man(_) => &[],
            #[cfg(feature = "local")]
            Self::Local(_) => &[],
        }
    }
}
