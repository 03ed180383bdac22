//! `rotatectl status`: which secrets are overdue, stuck or failing, since when and why.
//!
//! | file | what |
//! |---|---|
//! | `gather` | calls the services, as few times as possible |
//! | `secret` | the data about one secret |
//! | `kept` | the report, and a secret as it is kept until all are listed |
//! | `judge` | the state of a secret by its dates, without calls |
//! | `show` | the table and the summary |

mod gather;
pub mod judge;
mod kept;
mod secret;
mod show;

use std::{process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use clap::Args;
use clap_complete::ArgValueCompleter;
use secret_rotation::document::duration;

use self::judge::State;
use crate::{
    complete,
    report::{self, Error},
    secrets::{Named, Tag},
};

/// See which secrets are overdue or stuck, and why.
///
/// It lists the secrets that are set up for rotation, the most urgent first, with a summary in the last line. The exit code is 2 if a
/// shown secret is overdue, stuck or failing.
///
/// In the table – means none, and ? means unknown: your rights do not allow it, and a note says why. A narrow terminal hides columns in
/// this order: STRATEGY, EVERY, AGE, OVERLAP, DUE.
///
/// It needs secretsmanager:ListSecrets and ListSecretVersionIds. For the last error it needs logs:FilterLogEvents on the function's
/// log group; for strategy and overlap BatchGetSecretValue, GetSecretValue and the keys' kms:Decrypt.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl status                              every secret
  rotatectl status orders/db 'stock/*'          these
  rotatectl status --tag team=payments          one team's
  rotatectl status --overdue --failing          only those that need attention
  rotatectl status --no-values                  reads no secret's value
  rotatectl status --json | jq '.secrets[] | select(.state == \"overdue\").name'
  rotatectl status > /dev/null || notify        in cron or CI: exit code 2 means
                                                attention, 1 is a failure")]
pub struct StatusArguments {
    /// Only these: names, ARNs, or patterns with * and ?. Each must match a secret.
    #[arg(add = ArgValueCompleter::new(complete::names))]
    pub name: Vec<Named>,
    /// Only secrets with this tag. Given several times, a secret must have all of them.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<Tag>,
    /// Only overdue secrets; together with --failing, both.
    #[arg(long)]
    pub overdue: bool,
    /// Only secrets whose rotation is stuck or fails; together with --overdue, both.
    #[arg(long)]
    pub failing: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Read no secret's value, and leave out strategy and overlap. CloudTrail records each read of a value.
    #[arg(long)]
    pub no_values: bool,
    /// A rotation that has taken this long is stuck.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    pub stuck_after: Duration,
}

impl StatusArguments {
    /// Whether a secret in this state is shown.
    fn shows(&self, state: State) -> bool {
        let all = !self.overdue && !self.failing;
        all || (self.overdue && state == State::Overdue)
            || (self.failing && matches!(state, State::Stuck | State::Failing))
    }
}

/// Prints the table, or JSON.
///
/// # Errors
///
/// The secrets cannot be listed, or a named one does not exist. Every other failed call becomes a note.
pub async fn run(configuration: &SdkConfig, arguments: StatusArguments) -> Result<ExitCode, Error> {
    let report = gather::gather(configuration, &arguments).await?;
    report::print(&report, arguments.json, show::table)?;
    Ok(if report.needs_attention() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}
