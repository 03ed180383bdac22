//! One rotation of a drill: begins and follows it like `rotatectl rotate`, and records the steps.

use std::time::{Duration, SystemTime};

use drill::{
    application::Application,
    progress::Progress,
    rehearsal::{Rotated, Step},
};

use super::Error;
use crate::{
    follow::{self, Rotations, STEPS},
    log::Line,
    secrets::in_flight,
    terminal::printable,
};

/// The secret's name and ARN. An error if rotation is off (RotateSecret would turn it on), or if a rotation is in progress.
pub(super) async fn named(rotations: &Rotations, secret: &str) -> Result<(String, String), Error> {
    let described = rotations.describe(secret).await?;
    if described.rotation_enabled() != Some(true) {
        return Err(Error::NotEnabled {
            secret: secret.to_owned(),
        });
    }
    if described
        .version_ids_to_stages()
        .and_then(in_flight)
        .is_some()
    {
        return Err(Error::UnderWay {
            secret: secret.to_owned(),
        });
    }
    let or_as_given = |known: Option<&str>| known.unwrap_or(secret).to_owned();
    Ok((or_as_given(described.name()), or_as_given(described.arn())))
}

/// Rotates and waits for the end. Returns the start of each step; and the start of setSecret, or else of the rotation.
pub(super) async fn rotate(
    rotations: &Rotations,
    secret: &str,
    application: &Application,
    progress: &Progress<'_>,
) -> Result<(Rotated, SystemTime), Error> {
    let explain = |source: follow::Error| Error::NotRotated {
        source,
        requests: application.requests(),
        failures: application.failures(),
    };
    let asked = SystemTime::now();
    progress.say("RotateSecret");
    let rotation = rotations.begin(secret).await.map_err(explain)?;
    if rotation.resumed {
        return Err(Error::UnderWay {
            secret: secret.to_owned(),
        });
    }
    let heard = |line: &Line| {
        progress.say(printable(&format!("{}: {}", line.step, line.outcome)));
    };
    let followed = progress.during(rotations.follow(&rotation, heard)).await;
    let followed = followed.map_err(explain)?;

    // each step writes its line at its end
    let step = |name: &str| {
        let line = followed.steps.get(name)?;
        Some(Step {
            name: name.to_owned(),
            began: line.time - line.took(),
            took: line.took(),
        })
    };
    let (set, finish) = (step("setSecret"), step("finishSecret"));
    let moved = rotation.began + followed.took;
    let mut steps: Vec<Step> = STEPS.iter().filter_map(|name| step(name)).collect();
    if steps.is_empty() {
        // without log lines, use the times of the call and of the label's move
        steps = [("RotateSecret", asked), ("AWSCURRENT", moved)]
            .map(happened)
            .to_vec();
    }
    let rotated = Rotated {
        version: rotation.version,
        finishing: finish.map_or(moved, |finish| finish.began),
        steps,
    };
    Ok((rotated, set.map_or(asked, |set| set.began)))
}

fn happened((name, began): (&str, SystemTime)) -> Step {
    Step {
        name: name.to_owned(),
        began,
        took: Duration::ZERO,
    }
}
