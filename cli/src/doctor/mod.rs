//! `rotatectl doctor`: checks a secret's rotation. Each line is ok, or says what to do.
//!
//! | file | what |
//! |---|---|
//! | `finding` | a line of the report |
//! | `examine`, `server` | the order of the checks |
//! | `service` | rotation, tags and key, from DescribeSecret |
//! | `function`, `policy` | the rotation function, and who may invoke it |
//! | `versions` | the secret's versions, and whether they log in |
//! | `network`, `certificate` | the network to the server, and its certificate |
//! | `api_key` | an API key, which has no database |
//! | `log` | the function's last log lines |
//! | `labels` | the versions of the labels |
//! | `logins`, `pending` | which versions must log in; the labels, and an old AWSPENDING |
//! | `administrator`, `clients`, `schedule` | rights; lifetimes and schedule, compared with the overlap window |
//! | `repair` | the repairs of `--repair` |
//!
//! Documents, logins and rights are judged by the function's own code, so doctor and a rotation agree.
//! It changes nothing without `--repair`. It prints no password and reads none from the command line.

mod administrator;
mod api_key;
mod certificate;
mod clients;
mod examine;
mod finding;
mod function;
mod labels;
mod log;
mod logins;
mod network;
mod pending;
mod repair;
mod schedule;
mod server;
mod service;
mod versions;

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use clap::Args;
use clap_complete::ArgValueCompleter;
use secret_rotation::{
    document::duration,
    engine::{
        api_key::Https,
        postgres::{Kept, Roots},
    },
    settings::{Settings, SettingsError},
};
use serde_json::json;

pub use self::repair::Error as RepairError;
use self::{examine::Doctor, finding::Finding, repair::Tools};
use crate::{
    aws::{self, AwsArguments, Place},
    complete, login,
    shell::Shell,
    terminal::{print, print_json, tell, width},
};

/// A limit above the longest series of repairs.
const MOST_REPAIRS: usize = 4;

/// Find what is wrong with a secret's rotation, and what to do about it.
///
/// Each line is ok, warning (works, but needs a look), wrong, unknown, or skipped (another check failed). Below it doctor prints
/// what to do, with commands to copy and run. It changes nothing without --repair. The exit code is 2 if something is wrong, and 3
/// if nothing is wrong but something could not be found out from here.
///
/// It needs secretsmanager:DescribeSecret and GetSecretValue on the secret and on its administrator's, the use of their
/// keys, lambda:GetFunctionConfiguration and GetPolicy, logs:FilterLogEvents, and the network to the database; --repair needs
/// UpdateSecretVersionStage and PutSecretValue too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl doctor orders/db            all checks
  rotatectl doctor orders/db --repair   repair what it can from here; it asks
                                        before each repair
  rotatectl doctor orders/db --json |
    jq '.findings[] | select(.verdict == \"wrong\")'")]
pub struct DoctorArguments {
    /// The secret's name or ARN.
    #[arg(add = ArgValueCompleter::new(complete::names))]
    pub secret: String,
    /// A PEM file of roots to trust for the database, in addition to RDS's and the public ones. Default: TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A rotation without a change for this long is stuck.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    pub stuck_after: Duration,
    /// Offer repairs. Asks for a password if a repair needs one.
    #[arg(long)]
    pub repair: bool,
    /// Repair without questions, except before the administrator's credential goes to a server that no login has proven.
    #[arg(long, requires = "repair")]
    pub yes: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// A repair was not made.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// The function's settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where stdout goes")]
    Output(#[from] io::Error),
}

/// Examines the secret, offers repairs with `--repair`, and reports.
///
/// # Errors
///
/// The secret cannot be described, or a repair fails.
pub async fn run(
    arguments: &DoctorArguments,
    given: &AwsArguments,
    configuration: &SdkConfig,
) -> Result<ExitCode, Error> {
    let ca_file = login::ca_file(arguments.ca_file.as_ref());
    let doctor = Doctor {
        secrets: aws_sdk_secretsmanager::Client::new(configuration),
        lambda: aws_sdk_lambda::Client::new(configuration),
        configuration,
        secret: &arguments.secret,
        shell: Shell::new(&arguments.secret, arguments.ca_file.as_deref(), given),
        patience: arguments.stuck_after,
        roots: Roots::new(ca_file.clone()),
        https: Https::new(ca_file),
        kept: Kept::default(),
    };
    let mut report = doctor.examine().await?;
    for _ in 0..MOST_REPAIRS {
        let repair = report.findings.iter().find_map(Finding::repair);
        let Some(repair) = repair.filter(|_| arguments.repair) else {
            break;
        };
        if !arguments.json {
            report.print()?;
        }
        // each repair changes something, so say where
        if let Some(place) = Place::of(&report.secret) {
            tell(&format!("repairing in {place}"));
        }
        let tools = Tools {
            client: &doctor.secrets,
            secret: doctor.secret,
            postgres: doctor.postgres(&report.settings),
            listed: &report.settings.administrators,
            yes: arguments.yes,
        };
        let Some(done) = repair.offer(&tools).await? else {
            return Ok(report.exit_code());
        };
        tell(&done);
        tell("");
        report = doctor.examine().await?;
    }
    if arguments.json {
        report.print_json()?;
    } else {
        report.print()?;
    }
    Ok(report.exit_code())
}

/// The findings.
struct Report {
    secret: String,
    findings: Vec<Finding>,
    /// The function's settings, or the defaults if they cannot be read.
    settings: Settings,
}

impl Report {
    fn exit_code(&self) -> ExitCode {
        let findings = &self.findings;
        if findings.iter().any(Finding::is_wrong) {
            ExitCode::from(2)
        } else if findings.iter().any(Finding::is_unknown)
            || findings.iter().all(Finding::is_skipped)
        {
            ExitCode::from(3)
        } else {
            ExitCode::SUCCESS
        }
    }

    fn print(&self) -> Result<(), Error> {
        let colours = console::colors_enabled();
        let findings = self.findings.iter();
        let lines = findings.map(|finding| finding.lines(colours, width()));
        let lines: Vec<String> = lines.collect();
        Ok(print(&lines.join("\n"))?)
    }

    fn print_json(&self) -> Result<(), Error> {
        let ok = self.exit_code() == ExitCode::SUCCESS;
        let report = json!({ "secret": self.secret, "ok": ok, "findings": self.findings });
        Ok(print_json(&report)?)
    }
}
