//! `rotatectl drill`: a rehearsal. An application works through `rotating-secret` while its secret rotates. A table and a report show
//! the results.
//!
//! The crate `drill` has the application, its record and the report. This module asks and follows the rotation (`rotation`), or starts a
//! world on this machine (`world`, with the feature `local`).

mod error;
mod rotation;
#[cfg(feature = "local")]
mod world;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use aws_config::SdkConfig;
use clap::Args;
use clap_complete::ArgValueCompleter;
use console::style;
use drill::{
    application::Access,
    rehearsal::{CHANGED_OVER, Rehearsal},
    rehearse::{self, Plan},
    report, summary,
};

pub use self::error::Error;
use secret_rotation::document::duration;

use crate::{
    aws::{self, AwsArguments, Place},
    complete,
    confirm::{NotConfirmed, confirm},
    follow::Rotations,
    login,
    terminal::{hanging, print, print_json, printable, width},
};

/// Rehearse: rotate a secret while an application uses it, and see whether a request fails.
///
/// The application makes harmless requests through rotating-secret, with each way to connect. A table and a report of one HTML
/// file show the result. The exit code is 2 if a request failed, or if a worker did not change over.
///
/// It needs secretsmanager:DescribeSecret, GetSecretValue and RotateSecret, lambda:InvokeFunction on the function (RotateSecret
/// requires it), the network to the database, and logs:FilterLogEvents on the function's log group to mark the steps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl drill --local                           all, on this machine
  rotatectl drill staging/orders/db --duration 2m   a secret of yours: its real
                                                    password changes")]
pub struct DrillArguments {
    /// The secret's name or ARN. Its real password changes.
    #[arg(required_unless_present = "local")]
    #[arg(add = ArgValueCompleter::new(complete::names))]
    pub secret: Option<String>,
    /// Use a world on this machine: PostgreSQL, a stand-in for Secrets Manager and the real function. It is removed afterwards.
    /// Without SECRET it shows everything: a rotation of each strategy, a revocation, and ten rotations of each strategy while an
    /// application works, compared with a plain cache.
    #[arg(long)]
    pub local: bool,
    /// The rotation function's executable for --local. Default: the one of this workspace, which is built.
    #[arg(long, value_name = "FILE", requires = "local")]
    pub function: Option<PathBuf>,
    /// How long the application works, in addition to the time of the rotations.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub duration: Duration,
    /// How many times the secret rotates. Default: once; ten times with --local and without SECRET.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rotations: Option<u16>,
    /// Workers for each way to connect: a connection per request, deadpool-postgres, bb8, sqlx.
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// The pause between two requests of a worker.
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration)]
    pub pause: Duration,
    /// The cache's lifetime in rotating-secret: use the one of your application.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub ttl: Duration,
    /// How long to wait for the rotation's next sign of life, and for the last worker to change over.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub give_up_after: Duration,
    /// The root of the database server's certificate, in PEM, if it is neither RDS's nor a public one. Default:
    /// TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where the report is written.
    #[arg(long, value_name = "FILE", default_value = "drill.html")]
    pub report: PathBuf,
    /// Do not ask before a real password changes.
    #[arg(long)]
    pub yes: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Rehearses, prints the result, and writes the report.
///
/// # Errors
///
/// The rehearsal could not run. Failed requests are no error, but give exit code 2.
pub async fn run(given: &AwsArguments, arguments: &DrillArguments) -> Result<ExitCode, Error> {
    report::check_writable(&arguments.report)?;
    let rehearsals = match &arguments.secret {
        Some(secret) if !arguments.local => {
            let configuration = aws::configuration(given, arguments.secret.as_slice()).await?;
            let ca_file = login::ca_file(arguments.ca_file.as_ref());
            vec![one(&configuration, ca_file, secret, arguments, Asked::First).await?]
        }
        #[cfg(feature = "local")]
        secret => world::rehearse(secret.as_deref(), arguments).await?,
        #[cfg(not(feature = "local"))]
        _ => return Err(Error::NoLocalWorld),
    };
    report::write(&arguments.report, &rehearsals, &command_line())?;
    let passed = rehearsals.iter().all(Rehearsal::passed);
    if arguments.json {
        print_json(&summary::Summary::of(&rehearsals, &arguments.report))?;
    } else {
        let sentence = format!("\n{}.", summary::sentence(&rehearsals));
        print(&hanging(&sentence, 0, width()))?;
        print(&format!("report: {}", absolute(&arguments.report)))?;
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// Whether to ask before a password changes.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    First,
    #[cfg(feature = "local")]
    Never,
}

/// Rehearses one secret, and prints its table.
async fn one(
    configuration: &SdkConfig,
    ca_file: Option<PathBuf>,
    secret: &str,
    arguments: &DrillArguments,
    asked: Asked,
) -> Result<Rehearsal, Error> {
    let rotations = Rotations::new(configuration, arguments.give_up_after);
    let (name, arn) = rotation::named(&rotations, secret).await?;
    if asked == Asked::First {
        ask(&name, &arn, configuration, arguments)?;
    }
    let access = Access {
        service: aws_sdk_secretsmanager::Client::new(configuration),
        secret: secret.to_owned(),
        ca_file,
        database_ahead: 0,
    };
    let rehearsal = rehearse::rehearse(
        access,
        (name, place(configuration)),
        plan(arguments),
        async |application, progress| {
            rotation::rotate(&rotations, secret, application, progress).await
        },
    );
    // boxed: the nested futures make a type that is too deep for the compiler
    let rehearsal = Box::pin(rehearsal).await?;
    if !arguments.json {
        print(&rehearsal.table().to_string())?;
        print(CHANGED_OVER)?;
        let mark = if rehearsal.passed() {
            style("✔").green()
        } else {
            style("✘").red()
        };
        let verdict = summary::verdict(&rehearsal);
        let verdict = format!("{mark} {}", printable(&verdict));
        print(&hanging(&verdict, 2, width()))?;
    }
    Ok(rehearsal)
}

fn plan(arguments: &DrillArguments) -> Plan {
    Plan {
        duration: arguments.duration,
        rotations: arguments.rotations.unwrap_or(1).into(),
        workers: arguments.workers.into(),
        pause: arguments.pause,
        ttl: arguments.ttl,
        give_up_after: arguments.give_up_after,
    }
}

/// The endpoint, or else the region.
fn place(configuration: &SdkConfig) -> String {
    let region = configuration.region().map(ToString::to_string);
    let endpoint = configuration.endpoint_url().map(str::to_owned);
    endpoint.or(region).unwrap_or_default()
}

fn ask(
    secret: &str,
    arn: &str,
    configuration: &SdkConfig,
    arguments: &DrillArguments,
) -> Result<(), NotConfirmed> {
    let place = Place::of(arn).map_or_else(|| place(configuration), |place| place.to_string());
    let times = match arguments.rotations.unwrap_or(1) {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    confirm(
        &format!(
            "rotating {secret} {times}, in {place}: every application that uses its password must change over"
        ),
        "Rotate it?",
        arguments.yes,
    )
}

/// The command line as typed. It contains no secret.
fn command_line() -> String {
    let words = env::args().skip(1).collect::<Vec<_>>();
    let words = shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default();
    format!("rotatectl {words}")
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
