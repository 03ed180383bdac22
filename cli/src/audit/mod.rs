//! `rotatectl audit`: finds secrets that are not kept well.
//!
//! | file | what |
//! |---|---|
//! | `judge` | judges a secret by its entry in the list, without IO |
//! | `judge` | judges a secret by its entry in the list, without calls |
//! | `readers` | who may read a secret by its resource policy, without calls |
//! | `gather` | calls Secrets Manager, but reads no value |

mod gather;
mod judge;
mod readers;
mod show;

use std::{process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use clap::Args;
use clap_complete::ArgValueCompleter;
use secret_rotation::document::duration;

use crate::{
    complete,
    report::{self, Error},
    secrets::{Named, Tag},
};

/// Find secrets that are not kept well
///
/// It examines every secret of the region, also those that do not rotate, and
/// prints a line for each finding. The exit code is 2 if there are findings, and 3
/// if there are none but something could not be read.
///
///   no-rotation           it does not rotate
///   overdue               it was due and has not rotated
///   unread                nobody has read it for 90 days: --unread-for
///   no-customer-key       it is encrypted with aws/secretsmanager
///   public                its resource policy lets everyone read it
///   other-account         its resource policy lets another account read it
///   name                  its name fits no pattern: --name-pattern
///   replica-out-of-step   a replica is not in sync
///
/// It reads no value. It needs secretsmanager:ListSecrets and GetResourcePolicy, and
/// DescribeSecret for secrets that have replicas.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  rotatectl audit                               every secret of the region
  rotatectl audit 'payments/*' --name-pattern 'payments/*/*'
  rotatectl audit --ignore no-customer-key      all but this finding
  rotatectl audit --json | jq -r '.findings[] | [.secret, .finding] | @tsv'"
)]
pub struct AuditArguments {
    /// Only these: names, ARNs, or patterns with * and ?. Each must match a secret.
    #[arg(add = ArgValueCompleter::new(complete::names))]
    pub name: Vec<Named>,
    /// Only secrets with this tag. Given several times, a secret must have all of them.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<Tag>,
    /// A secret that nobody has read for this long is unread. The service keeps the day of the last read.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = duration)]
    pub unread_for: Duration,
    /// How a name should look, with * and ?. Given several times, a name must fit one of them.
    #[arg(long, value_name = "PATTERN")]
    pub name_pattern: Vec<String>,
    /// Leave this finding out; may be given several times.
    #[arg(long, value_name = "FINDING")]
    pub ignore: Vec<Kind>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub use self::judge::Kind;

/// Prints the findings as a table or as JSON.
///
/// # Errors
///
/// The secrets cannot be listed, or a named one does not exist. Every other failed call becomes a note.
pub async fn run(configuration: &SdkConfig, arguments: AuditArguments) -> Result<ExitCode, Error> {
    let report = gather::gather(configuration, &arguments).await?;
    report::print(&report, arguments.json, show::table)?;
    Ok(
        match (report.findings.is_empty(), report.notes.is_empty()) {
            (false, _) => ExitCode::from(2),
            (true, false) => ExitCode::from(3),
            (true, true) => ExitCode::SUCCESS,
        },
    )
}
