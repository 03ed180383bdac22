//! Rotates one secret.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput as Description;

use super::{
    RotateArguments,
    progress::{Progress, show},
    promise::Promises,
    report::Outcome,
};
use crate::{
    aws,
    follow::{self, Begun, Rotated, Rotation, Rotations, STEPS},
    secrets::time,
    terminal::{EMPTY_CELL, moment, span, took},
};

/// How a rotation ended; or the secret's name, and why it was not rotated.
pub(super) type Ended = Result<End, (String, NotRotated)>;

/// A secret that was rotated or skipped.
pub(super) struct End {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    /// The line to print.
    pub(super) line: String,
    /// Why the steps are unknown.
    pub(super) log_error: Option<Arc<aws::Error>>,
}

/// Why a secret was not rotated.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRotated {
    #[error(transparent)]
    Failed(#[from] follow::Error),
    #[error(
        "the credential before AWSCURRENT is promised to work until {}, and this rotation would end it: wait until then, or after \
         a suspected leak rotate with --force", moment(*.0)
    )]
    Promised(SystemTime),
}

/// Why a secret is skipped.
enum Left {
    Recent(Duration),
    Promised(SystemTime),
}

/// Rotates a secret unless it must be skipped. With `--wait`, follows the rotation.
pub(super) async fn one(
    rotations: &Rotations,
    promises: &Promises,
    arguments: &RotateArguments,
    name: &str,
    progress: &Progress,
) -> Ended {
    let failed = |error: NotRotated| (name.to_owned(), error);
    let end = |outcome, line, log_error| {
        Ok(End {
            name: name.to_owned(),
            outcome,
            line,
            log_error,
        })
    };
    let unless = async |secret: &Description| {
        let age = time(secret.last_rotated_date()).and_then(|last| last.elapsed().ok());
        match (age, arguments.if_older_than) {
            (Some(age), Some(recent)) if age < recent => Some(Left::Recent(age)),
            _ if arguments.force => None,
            _ => promises.until(secret).await.map(Left::Promised),
        }
    };
    let rotation = match rotations.begin_unless(name, unless).await {
        Ok(Begun::Under(rotation)) => rotation,
        Ok(Begun::Left(Left::Recent(age))) => {
            let line = format!("skipped, rotated {} ago", span(age));
            return end(Outcome::LeftAlone, line, None);
        }
        Ok(Begun::Left(Left::Promised(until))) => return Err(failed(NotRotated::Promised(until))),
        Err(error) => return Err(failed(error.into())),
    };
    if !arguments.wait {
        return end(Outcome::Begun, begun(&rotation), None);
    }
    let bar = progress.bar(name);
    let followed = rotations.follow(&rotation, |line| show(&bar, line)).await;
    bar.finish_and_clear();
    let rotated = followed.map_err(|error| failed(error.into()))?;
    end(Outcome::Rotated, ended(&rotated), rotated.log_error)
}

fn begun(rotation: &Rotation) -> String {
    let how = if rotation.resumed {
        "was already in progress"
    } else {
        "has begun"
    };
    format!("the rotation to version {} {how}", rotation.version)
}

/// `rotated in 1.24 s (createSecret 0.03 s, …)`.
fn ended(rotated: &Rotated) -> String {
    let steps = STEPS.map(|step| {
        let line = rotated.steps.get(step);
        let time = line.map_or(EMPTY_CELL.to_owned(), |line| took(line.took()));
        format!("{step} {time}")
    });
    format!("rotated in {} ({})", took(rotated.took), steps.join(", "))
}
