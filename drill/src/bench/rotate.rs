//! One rotation.

use std::time::Duration;

use local::{secrets_manager::Rotation, world::World};

use crate::demo::{self, Error};

/// Rotates once. Returns the function's working time.
pub(crate) async fn rotate(world: &World, secret: &str) -> Result<Duration, Error> {
    let rotation = rotated(world, secret).await?;
    Ok(steps(&rotation).map(|(_, took)| took).sum())
}

/// Rotates once.
pub(super) async fn rotated(world: &World, secret: &str) -> Result<Rotation, Error> {
    let rotation = world.secrets_manager().rotate(secret).await?;
    match rotation.succeeded {
        true => Ok(rotation),
        false => Err(Error::NotRotated(demo::failure(&rotation))),
    }
}

/// Each step, and its time from the event to the answer.
pub(super) fn steps(rotation: &Rotation) -> impl Iterator<Item = (String, Duration)> {
    let runs = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
    runs.map(|run| (run.step.clone(), run.invoked.took))
}
