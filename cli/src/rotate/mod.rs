//! `rotatectl rotate`: rotates many secrets at the same time, and follows them.

mod one;
mod progress;
mod promise;
mod report;

use std::{cell::Cell, io, process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use clap::Args;
use clap_complete::ArgValueCompleter;
use futures_util::{StreamExt, stream};
use secret_rotation::document::duration;

use self::{
    one::{NotRotated, one},
    progress::Progress,
    promise::Promises,
    report::{Outcome, Report, Reported},
};
use crate::{
    aws::{self, Place},
    complete,
    confirm::{NotConfirmed, confirm},
    follow::Rotations,
    heartbeat,
    secrets::{self, Tag},
    terminal,
};

/// Rotate secrets now.
///
/// With --wait it follows each rotation to its end. The exit code is 1 if one failed, and 3 if the end of one is unknown. A rotation
/// that is in progress is followed, not begun again: after an interruption run the same command again (the service continues by
/// itself). For alternating users no rotation begins while the credential before AWSCURRENT is promised to work, because the rotation
/// would end it.
///
/// It needs secretsmanager:DescribeSecret and RotateSecret, lambda:InvokeFunction on the function (RotateSecret requires it), and
/// for --wait logs:FilterLogEvents on the function's log group. To see a promised overlap it needs GetSecretValue, the key's
/// kms:Decrypt, and lambda:GetFunctionConfiguration if the document has no "overlap".
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl rotate orders/db --wait                one secret, step by step
  rotatectl rotate --tag team=payments --dry-run   which ones that would be
  rotatectl rotate --tag team=payments --yes --wait --max-parallel 5
  rotatectl rotate --tag team=payments --yes --wait --if-older-than 1h
      again after an interruption: skips what is done
  rotatectl rotate orders/db --wait --json | jq -r '.secrets[].outcome'")]
pub struct RotateArguments {
    /// Names or ARNs.
    #[arg(required_unless_present = "tag", conflicts_with = "tag")]
    #[arg(add = ArgValueCompleter::new(complete::names))]
    pub secret: Vec<String>,
    /// All secrets that are set up for rotation and have this tag. Given several times, a secret must have all of them.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<Tag>,
    /// Print which secrets would be rotated, and rotate none.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before all secrets with a tag are rotated.
    #[arg(long)]
    pub yes: bool,
    /// Print JSON, at the end.
    #[arg(long)]
    pub json: bool,
    /// Follow the rotations to their end.
    #[arg(long)]
    pub wait: bool,
    /// How many rotations are in progress at once, with --wait.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_parallel: u16,
    /// Rotate even if that ends a credential that is still promised to work, as after a suspected leak. Reads no value.
    #[arg(long)]
    pub force: bool,
    /// Skip secrets that have rotated within this time.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub if_older_than: Option<Duration>,
    /// How long to wait for the next sign of life. The service repeats a failed rotation, but does not say when.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration)]
    pub give_up_after: Duration,
}

/// Why not all secrets were rotated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// No secret matches.
    #[error(
        "no secret with these tags rotates here: check --tag, --region and --profile, or run rotatectl status"
    )]
    NothingToRotate,
    /// Some rotations failed.
    #[error(
        "{failed} of {of} secrets were not rotated, for the reasons above: when the causes are gone, run the command again; \
         it continues with the rotations that are in progress"
    )]
    #[expect(missing_docs, reason = "the fields are named in the message")]
    NotRotated { failed: usize, of: usize },
    /// The end of some rotations is unknown.
    #[error(
        "for {unknown} of {of} secrets it is unknown whether they were rotated, for the reasons above: run the command \
         again; it continues with the rotations that are in progress"
    )]
    #[expect(missing_docs, reason = "the fields are named in the message")]
    NotKnown { unknown: usize, of: usize },
    /// The operator did not confirm.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// Ctrl-C was pressed.
    #[error(
        "interrupted: the service continues the rotations that have begun; run the command again to follow them"
    )]
    Interrupted,
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where stdout goes")]
    Output(#[from] io::Error),
}

/// Rotates the secrets, and prints a line for each at its end.
///
/// # Errors
///
/// The secrets cannot be listed, or one was not rotated.
pub async fn run(configuration: &SdkConfig, arguments: RotateArguments) -> Result<ExitCode, Error> {
    let rotations = Rotations::new(configuration, arguments.give_up_after);
    let names = names(configuration, &arguments).await?;
    let Some(first) = names.first() else {
        return Err(Error::NothingToRotate);
    };
    if arguments.dry_run {
        if arguments.json {
            let left = names
                .iter()
                .map(|name| Reported::new(name, Outcome::DryRun, None));
            terminal::print_json(&Report::new(left.collect()))?;
            return Ok(ExitCode::SUCCESS);
        }
        for name in &names {
            terminal::say(name)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let described = rotations.describe(first).await;
    let arn = described
        .as_ref()
        .ok()
        .and_then(|described| described.arn());
    let place = Place::of(arn.unwrap_or(first));
    let place = place.map_or_else(String::new, |place| format!(" in {place}"));
    let many = match names.len() {
        1 => "1 secret".to_owned(),
        many => format!("{many} secrets"),
    };
    // names are exact, but a tag may match more secrets than the operator expects
    let yes = arguments.yes || arguments.tag.is_empty();
    confirm(
        &format!("rotating {many}{place}"),
        &format!("Rotate {many}?"),
        yes,
    )?;
    let promises = Promises::new(configuration);
    follow_all(&rotations, &promises, &arguments, &names).await
}

async fn names(
    configuration: &SdkConfig,
    arguments: &RotateArguments,
) -> Result<Vec<String>, Error> {
    let mut names = arguments.secret.clone();
    if !arguments.tag.is_empty() {
        let client = Client::new(configuration);
        let rotated = secrets::every(&client, &arguments.tag, |secret| {
            let rotates = secret.rotation_enabled == Some(true) && secrets::rotates(&secret);
            secret.name.filter(|_| rotates)
        });
        names.extend(rotated.await?);
    }
    Ok(names)
}

async fn follow_all(
    rotations: &Rotations,
    promises: &Promises,
    arguments: &RotateArguments,
    names: &[String],
) -> Result<ExitCode, Error> {
    let progress = Progress::new(names);
    let all = names
        .iter()
        .map(|name| one(rotations, promises, arguments, name, &progress));
    let mut all = stream::iter(all).buffer_unordered(arguments.max_parallel.into());
    let count = |counter: &Cell<usize>| counter.set(counter.get() + 1);
    let (ended, failed, unknown) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let (mut log_error, mut unwritten, mut secrets) = (None, None, Vec::new());
    let what = || format!("{} of {} rotations have ended", ended.get(), names.len());
    let work = async {
        while let Some(end) = all.next().await {
            count(&ended);
            let (reported, line) = match end {
                Ok(ended) => {
                    log_error = ended.log_error.or(log_error.take());
                    (Reported::new(&ended.name, ended.outcome, None), ended.line)
                }
                Err((name, NotRotated::Failed(error))) if !error.is_known() => {
                    count(&unknown);
                    let line = format!("unknown whether it was rotated: {error}");
                    (Reported::new(&name, Outcome::NotKnown, Some(&line)), line)
                }
                Err((name, error)) => {
                    count(&failed);
                    let line = format!("not rotated: {error}");
                    (Reported::new(&name, Outcome::NotRotated, Some(&line)), line)
                }
            };
            let line = format!("{}: {line}", reported.secret);
            secrets.push(reported);
            if arguments.json {
                continue;
            }
            // the other rotations continue, so follow them to their end
            let written = progress.bars.suspend(|| terminal::say(&line));
            unwritten = unwritten.take().or(written.err());
        }
    };
    tokio::select! {
        () = heartbeat::during(what, work) => {}
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            return Err(Error::Interrupted);
        }
    }
    if arguments.json {
        unwritten = terminal::print_json(&Report::new(secrets)).err();
    }
    if let Some(error) = log_error {
        terminal::tell(&format!("Note: the steps are unknown: {error}"));
    }
    if let Some(error) = promises.unread() {
        terminal::tell(&format!(
            "Note: it is unknown whether the credential before AWSCURRENT is promised to work: {error}"
        ));
    }
    let of = names.len();
    match (failed.get(), unknown.get(), unwritten) {
        (0, 0, None) => Ok(ExitCode::SUCCESS),
        (0, 0, Some(error)) => Err(error.into()),
        (0, unknown, _) => Err(Error::NotKnown { unknown, of }),
        (failed, ..) => Err(Error::NotRotated { failed, of }),
    }
}
