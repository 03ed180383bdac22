//! `rotatectl compromised`: after a leak, everything that ends it, in the order that locks nobody out.
//!
//! A round is a rotation and a revocation. Under single user one does it: the rotation replaces the password, the revocation ends
//! the sessions that it opened. Under alternating users it takes two: the first makes the other user current and ends
//! the one that was, the second does the same the other way round. So at the end each of the two has a password that was not
//! stored at the beginning, or none, and no session of then.

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
use secret_rotation::settings::SettingsError;

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

/// What a shell says of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// After a leak: rotate, revoke the old credential, and prove that it does not work.
///
/// What is printed is the timeline for the incident report. Whoever is logged in with an old credential loses the
/// connection; an application that reads the secret anew goes on with the new one (rotating-secret does).
///
/// Nothing that fails ends it: what was not done is said at the end, with exit code 1. A rotation that is stuck is set aside.
///
/// It needs secretsmanager:DescribeSecret, RotateSecret, GetSecretValue and UpdateSecretVersionStage, kms:Decrypt on the
/// secret's key, lambda:InvokeFunction and logs:FilterLogEvents for the function, and for the proof the network to the database,
/// or for an API key lambda:GetFunctionConfiguration and the network to its service.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl compromised orders/db              asks before it does anything
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
    /// How long to wait between a rotation and the end of what came before it.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub grace: Duration,
    /// Do not log in to the database: what the function says stands for the proof.
    #[arg(long)]
    pub no_login: bool,
    /// A PEM file of roots to trust for the database, beside RDS's and the public ones; without it TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How long to wait for the next sign of life of a rotation.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    pub give_up_after: Duration,
}

/// Why the leak has not ended, or is not known to have.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service, before anything was done.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The secret has no function.
    #[error(transparent)]
    NotSetUp(#[from] follow::Error),
    /// The settings of the login.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nobody said yes.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// Not all was done, or is known to have been.
    #[error("not contained, or not known to be: {}; when the causes are gone, run the command again", .problems.join("; "))]
    NotContained { problems: Vec<String> },
    /// The time is over.
    #[error("the time is over ({}), and not all was done: run the command again, and it goes on from there", span(*.limit))]
    TimedOut { limit: Duration },
    /// The timeline could not be written.
    #[error(
        "all was done that could be done, and stdout could not be written to ({0}): the whole record stands above, on stderr"
    )]
    Output(#[from] io::Error),
}

/// Does it, and prints the timeline, up to where it came.
///
/// `limit` bounds the whole of it.
///
/// # Errors
///
/// The leak has not ended, or is not known to have; or the operator declined.
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
            "a stored version cannot be read, and is not proven to end: {error}"
        ));
    }
    let ca_file = login::ca_file(arguments.ca_file.as_ref());
    // a document may name any host, and only an API key's does that matter for
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
            timeline.problem("interrupted: the service goes on with a rotation that has begun, and nothing else is done");
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
                "rotatectl: interrupted, and not contained: run the command again, and it goes on from there",
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

/// Ctrl-C. Where it cannot be listened for it ends the process, as ever.
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
