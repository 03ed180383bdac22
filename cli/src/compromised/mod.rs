//! `rotatectl compromised`: does everything that ends a leak, in an order that locks no application out.
//!
//! A round is a rotation and a revocation. A single user needs one round: the rotation replaces the password, the revocation ends the
//! sessions of the old one. Alternating users need two rounds: the first makes the other user current and revokes the previous one; the
//! second does the same with exchanged roles. At the end each user has a new password or none, and no old session is open.

mod incident;
mod old;
mod stuck;
mod timeline;

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_lambda::Client as Lambda;
use aws_sdk_secretsmanager::Client;
use clap::Args;
use clap_complete::ArgValueCompleter;
use secret_rotation::{document::duration, settings::SettingsError};

use self::{incident::Incident, timeline::Timeline};
use crate::{
    aws::{self, Place},
    complete,
    confirm::{NotConfirmed, confirm},
    follow::{self, Rotations},
    heartbeat,
    login::{self, Logins},
    operator::Operator,
    retry::persist,
    secrets::Strategy,
    settings,
    terminal::{span, tell},
};

/// A shell's exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

/// After a leak: rotate, revoke the old credential, and prove that it does not work.
///
/// It prints the timeline for the incident report. Every session of an old credential is ended. An application that reads the
/// secret again continues with the new credential (rotating-secret does).
///
/// A failure does not end it: the end of the report says what was not done, with exit code 1. It sets a stuck rotation aside.
///
/// It needs secretsmanager:DescribeSecret, RotateSecret, GetSecretValue and UpdateSecretVersionStage, kms:Decrypt on the
/// secret's key, lambda:InvokeFunction and logs:FilterLogEvents for the function, and for the proof the network to the database.
/// For an API key the proof needs lambda:GetFunctionConfiguration and the network to the key's service.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl compromised orders/db              asks first
  rotatectl compromised orders/db --yes --json > incident.json
  rotatectl compromised orders/db --grace 2m   applications have two minutes
                                               to change over first")]
pub struct CompromisedArguments {
    /// The secret's name or ARN.
    #[arg(add = ArgValueCompleter::new(complete::names))]
    pub secret: String,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Print the timeline as JSON, at the end.
    #[arg(long)]
    pub json: bool,
    /// How long applications have between a rotation and the end of the old credential.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub grace: Duration,
    /// Do not log in to the database: rely on the function's answer as the proof.
    #[arg(long)]
    pub no_login: bool,
    /// A PEM file of roots to trust for the database, in addition to RDS's and the public ones. Default: TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How long to wait for the next sign of life of a rotation.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub give_up_after: Duration,
}

/// Why the leak is not contained, or why that is unknown.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service failed before any step.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The secret has no function.
    #[error(transparent)]
    NotSetUp(#[from] follow::Error),
    /// The settings of the login are invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nobody confirmed it.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// Some steps failed, or their result is unknown.
    #[error("the leak is not contained, or it is unknown whether it is: {}; when the causes are gone, run the command again", .problems.join("; "))]
    NotContained { problems: Vec<String> },
    /// The time limit passed.
    #[error("not finished within {}: run the command again, and it continues from there", span(*.limit))]
    TimedOut { limit: Duration },
    /// The timeline could not be written.
    #[error(
        "every possible step was done, but stdout cannot be written ({0}): the whole record is above, on stderr"
    )]
    Output(#[from] io::Error),
}

/// Contains the leak and prints the timeline, even if it is not finished.
///
/// `limit` is the time limit of the whole command.
///
/// # Errors
///
/// The leak is not contained, or that is unknown; or the operator declined.
pub async fn run(
    configuration: &SdkConfig,
    arguments: CompromisedArguments,
    limit: Option<Duration>,
) -> Result<ExitCode, Error> {
    let secret = &arguments.secret;
    let rotations = Rotations::new(configuration, arguments.give_up_after);
    let secrets = Client::new(configuration);
    let described = persist(arguments.give_up_after, || rotations.describe(secret)).await?;
    let arn = described.arn().unwrap_or(secret);
    let function = described
        .rotation_lambda_arn()
        .ok_or(follow::Error::NotSetUp)?;
    let (versions, unread) = old::versions(&secrets, arn, arguments.give_up_after).await;
    let strategy = versions.first().map(old::Version::strategy);
    ask(
        described.name().unwrap_or(secret),
        arn,
        strategy,
        &arguments,
    )?;

    let timeline = Timeline::new(
        arn,
        strategy.unwrap_or(Strategy::SingleUser),
        arguments.json,
    );
    let words = strategy.map_or("unknown strategy", Strategy::name);
    timeline.add(format!("{arn} is treated as leaked ({words})"));
    for error in unread {
        timeline.problem(format!(
            "a stored version cannot be read, so it is not proven that its credential ends: {error}"
        ));
    }
    let ca_file = login::ca_file(arguments.ca_file.as_ref());
    // a document can name any host, but that matters only for API keys
    let allowed_hosts = match strategy {
        Some(Strategy::SingleUser | Strategy::AlternatingUsers) => None,
        Some(Strategy::ApiKey) | None => {
            settings::of_function(&Lambda::new(configuration), function)
                .await
                .map(|settings| settings.allowed_hosts)
        }
    };
    let incident = Incident {
        arguments: &arguments,
        secret: arn,
        function,
        strategy,
        rotations: &rotations,
        secrets: &secrets,
        operator: &Operator::new(configuration),
        logins: &Logins::new(ca_file, allowed_hosts)?,
        timeline: &timeline,
    };
    let what = || "the leak is being contained".to_owned();
    let contained = heartbeat::during(what, incident.contain(&versions));
    let ended = tokio::select! {
        () = contained => Ok(ExitCode::SUCCESS),
        () = interrupted() => {
            timeline.problem("interrupted: the service continues a rotation that has begun; nothing else happens");
            Ok(ExitCode::from(INTERRUPTED))
        }
        () = passed(limit) => Err(Error::TimedOut { limit: limit.unwrap_or_default() }),
    };
    let written = timeline.finish();
    let problems = timeline.problems();
    match ended {
        Ok(code) if code == ExitCode::SUCCESS && !problems.is_empty() => {
            Err(Error::NotContained { problems })
        }
        Ok(code) if code != ExitCode::SUCCESS => {
            tell(
                "rotatectl: interrupted, and not contained: run the command again, and it continues from there",
            );
            Ok(code)
        }
        Ok(code) => written.map(|()| code).map_err(Error::from),
        Err(error) => Err(error),
    }
}

fn ask(
    name: &str,
    arn: &str,
    strategy: Option<Strategy>,
    arguments: &CompromisedArguments,
) -> Result<(), NotConfirmed> {
    let place = Place::of(arn).map_or_else(String::new, |place| format!(" in {place}"));
    let strategy = strategy.map_or("unknown strategy", Strategy::name);
    let grace = match arguments.grace.is_zero() {
        true => "now".to_owned(),
        false => format!("in {}", span(arguments.grace)),
    };
    confirm(
        &format!("containing a leak of {name} ({strategy}){place}"),
        &format!("Replace its credential now, and end all sessions of the old one {grace}?"),
        arguments.yes,
    )
}

/// Waits for Ctrl-C. If the handler cannot be set, Ctrl-C ends the process as usual.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
