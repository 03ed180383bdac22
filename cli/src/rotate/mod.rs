//! `rotatectl rotate`: rotates secrets, many of them side by side, and follows them.

use std::{io, process::ExitCode, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use clap::Args;
use futures_util::{StreamExt, stream};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    aws,
    follow::{self, Begun, Rotated, Rotation, Rotations, STEPS},
    log::Line,
    secrets::{self, Tag},
    terminal::{self, NOTHING_TO_TELL, span, took},
};

/// Rotate secrets now.
///
/// With --wait each rotation is followed to its end, and the exit code is 1 if one failed. A rotation that is under way
/// already is followed, not begun again: after an interruption (the service goes on by itself) run the same command again.
///
/// It needs secretsmanager:DescribeSecret and RotateSecret, lambda:InvokeFunction on the function as RotateSecret asks for it,
/// and for --wait logs:FilterLogEvents on the function's log group.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rotatectl rotate orders/db --wait                 one secret, step by step
  rotatectl rotate --tag team=payments --wait --max-parallel 5
  rotatectl rotate --tag team=payments --wait --if-older-than 1h
                                                    again after an interruption: what is done is left alone")]
pub struct RotateArguments {
    /// Names or ARNs.
    #[arg(required_unless_present = "tag", conflicts_with = "tag")]
    pub secret: Vec<String>,
    /// All secrets that are set up for rotation and have this tag; several must all be there.
    #[arg(long, value_name = "KEY=VALUE")]
    pub tag: Vec<Tag>,
    /// Follow the rotations to their end.
    #[arg(long)]
    pub wait: bool,
    /// How many rotations are under way at once, with --wait.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_parallel: u16,
    /// Leave alone what was rotated in this time.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub if_older_than: Option<Duration>,
    /// How long to wait for the next sign of life: the service tries a failed rotation again, but does not tell when.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    pub give_up_after: Duration,
}

/// Why not all of them were rotated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// No secret is meant.
    #[error(
        "no secret with these tags rotates here: check --tag, --region and --profile, or see rotatectl status"
    )]
    NothingToRotate,
    /// Some rotations did not come to their end.
    #[error(
        "{failed} of {of} secrets were not rotated: the reasons stand above; when they are gone, run the command again, \
         and it goes on with the rotations that are under way"
    )]
    #[expect(missing_docs, reason = "the fields are named in the message")]
    NotRotated { failed: usize, of: usize },
    /// Ctrl-C.
    #[error(
        "interrupted: the service goes on with the rotations that have begun; run the command again to follow them"
    )]
    Interrupted,
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
}

/// Rotates them all, and prints a line for each when it has ended.
///
/// # Errors
///
/// The secrets cannot be listed, or one was not rotated.
pub async fn run(configuration: &SdkConfig, arguments: RotateArguments) -> Result<ExitCode, Error> {
    let mut names = arguments.secret.clone();
    if !arguments.tag.is_empty() {
        let client = Client::new(configuration);
        secrets::list(&client, &arguments.tag, |page| {
            let enabled = page
                .into_iter()
                .filter(|secret| secret.rotation_enabled == Some(true));
            names.extend(enabled.filter_map(|secret| secret.name));
        })
        .await?;
    }
    if names.is_empty() {
        return Err(Error::NothingToRotate);
    }

    let rotations = Rotations::new(configuration, arguments.give_up_after);
    let progress = Progress::new(&names);
    let all = names
        .iter()
        .map(|name| one(&rotations, &arguments, name, &progress));
    let mut all = stream::iter(all).buffer_unordered(arguments.max_parallel.into());
    let mut failed = 0;
    let mut log_error = None;
    loop {
        let ended = tokio::select! {
            ended = all.next() => ended,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return Err(Error::Interrupted);
            }
        };
        let Some(ended) = ended else { break };
        let line = match ended {
            Ok((line, error)) => {
                log_error = error.or(log_error);
                line
            }
            Err((name, error)) => {
                failed += 1;
                format!("{name}: not rotated: {error}")
            }
        };
        progress.bars.suspend(|| terminal::print(&line))?;
    }
    if let Some(error) = log_error {
        terminal::tell(&format!("Note: the steps are not known: {error}"));
    }
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        failed => Err(Error::NotRotated {
            failed,
            of: names.len(),
        }),
    }
}

type Ended = Result<(String, Option<aws::Error>), (String, follow::Error)>;

async fn one(
    rotations: &Rotations,
    arguments: &RotateArguments,
    name: &str,
    progress: &Progress,
) -> Ended {
    let failed = |error| (name.to_owned(), error);
    let rotation = match rotations.begin(name, arguments.if_older_than).await {
        Ok(Begun::Under(rotation)) => rotation,
        Ok(Begun::Recent(age)) => {
            return Ok((
                format!("{name}: left alone, rotated {} ago", span(age)),
                None,
            ));
        }
        Err(error) => return Err(failed(error)),
    };
    if !arguments.wait {
        return Ok((format!("{name}: {}", begun(&rotation)), None));
    }
    let bar = progress.bar(name);
    let followed = rotations.follow(&rotation, |line| show(&bar, line)).await;
    bar.finish_and_clear();
    let rotated = followed.map_err(failed)?;
    Ok((format!("{name}: {}", ended(&rotated)), rotated.log_error))
}

fn begun(rotation: &Rotation) -> String {
    let how = if rotation.resumed {
        "was under way already"
    } else {
        "has begun"
    };
    format!("the rotation to version {} {how}", rotation.version)
}

/// `rotated in 1.24 s (createSecret 0.03 s, …)`.
fn ended(rotated: &Rotated) -> String {
    let steps = STEPS.map(|step| {
        let line = rotated.steps.get(step);
        let time = line.map_or(NOTHING_TO_TELL.to_owned(), |line| took(line.took()));
        format!("{step} {time}")
    });
    format!("rotated in {} ({})", took(rotated.took), steps.join(", "))
}

/// A bar for each secret, on stderr; nothing where that is no terminal.
struct Progress {
    bars: MultiProgress,
    style: ProgressStyle,
    width: usize,
}

impl Progress {
    fn new(names: &[String]) -> Self {
        let style = ProgressStyle::with_template("{prefix} {spinner} {bar:8} {msg}");
        Self {
            bars: MultiProgress::new(),
            style: style.unwrap_or_else(|_| ProgressStyle::default_bar()),
            width: names
                .iter()
                .map(|name| name.chars().count())
                .max()
                .unwrap_or(0),
        }
    }

    fn bar(&self, name: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(STEPS.len() as u64));
        bar.set_style(self.style.clone());
        bar.set_prefix(format!("{name:width$}", width = self.width));
        bar.set_message(STEPS[0]);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }
}

/// A step that is done moves the bar on; one that failed is begun again, from the first.
fn show(bar: &ProgressBar, line: &Line) {
    if line.failed() {
        bar.set_position(0);
        bar.set_message(format!("{} failed: {}", line.step, line.message()));
        return;
    }
    let done = STEPS.iter().position(|step| *step == line.step);
    let done = done.map_or(0, |place| place + 1);
    bar.set_position(done as u64);
    bar.set_message(STEPS.get(done).copied().unwrap_or_default());
}
