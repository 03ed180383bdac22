//! `rotatectl status`: which secrets are overdue, stuck or failing, since when, and why.
//!
//! | file | what |
//! |---|---|
//! | `gather` | asks the services, in as few calls as tell it |
//! | `secret` | what is told of one |
//! | `judge` | what its dates say, pure |
//! | `show` | the table and the JSON |

mod gather;
pub mod judge;
mod secret;
mod show;

use std::{io, process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use clap::Args;

use crate::{aws, secrets::Tag, terminal};

/// See which secrets are overdue or stuck, and why.
///
/// Every secret that was set up for rotation, the most urgent first. The exit code is 2 if one is
/// overdue, stuck or failing.
///
/// It needs secretsmanager:ListSecrets and ListSecretVersionIds, for the last error logs:FilterLogEvents on the function's log
/// group, for strategy and overlap BatchGetSecretValue, GetSecretValue and the keys' kms:Decrypt. What is not allowed is left
/// out, and told.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl status                                  every secret
  rotatectl status --tag team=payments              one team's
  rotatectl status --no-values                      without a look into any secret
  rotatectl status --json | jq '.secrets[] | select(.state == \"overdue\").name'
  rotatectl status > /dev/null || notify            in cron or CI: exit code 2 wants attention, 1 is a failure")]
pub struct StatusArguments {
    /// Only secrets with this tag; several must all be there.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<Tag>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Read no secret's value. Strategies and open overlaps, which stand in them alone, are left out; each value that is
    /// read stands in CloudTrail.
    #[arg(long)]
    pub no_values: bool,
    /// A rotation that has taken this long is stuck.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    pub stuck_after: Duration,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
}

/// Prints the table, or JSON.
///
/// # Errors
///
/// The secrets cannot be listed. What else cannot be had is left out, and told.
pub async fn run(configuration: &SdkConfig, arguments: StatusArguments) -> Result<ExitCode, Error> {
    let report = gather::gather(configuration, &arguments).await?;
    if arguments.json {
        terminal::print_json(&report)?;
    } else {
        show::table(&report)?;
    }
    Ok(if report.wants_attention() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}
