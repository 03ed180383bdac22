//! What a function's rotations cost.

use std::{collections::BTreeMap, time::Duration};

use local::{processor, world::World};

use super::side::{Side, peak};
use crate::{
    bench::{
        rotate::{rotated, steps},
        row::Sample,
    },
    demo::{self, Error},
};

/// The rotations of one function.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) rotations: Vec<Duration>,
    /// Milliseconds, each step rounded up.
    billed: Vec<f64>,
    pub(super) cold: BTreeMap<String, Vec<Duration>>,
    pub(super) processor: Vec<Duration>,
    /// The operations of the last rotation.
    pub(super) calls: Vec<String>,
    pub(super) accepted: usize,
    pub(super) rejected: usize,
}

impl Measured {
    pub(super) async fn rotate(&mut self, world: &World, secret: &str) -> Result<(), Error> {
        let busy = || {
            let processes = world.function().processes().into_iter();
            processes.filter_map(processor::time).sum::<Duration>()
        };
        let (calls, logins, before) = (
            world.secrets_manager().calls().len(),
            demo::all_logins(world)?,
            busy(),
        );
        let rotation = rotated(world, secret).await?;
        self.rotations
            .push(steps(&rotation).map(|(_, took)| took).sum());
        let billed = steps(&rotation).map(|(_, took)| (took.as_secs_f64() * 1000.0).ceil());
        self.billed.push(billed.sum());
        self.processor.push(busy() - before);
        let after = demo::all_logins(world)?;
        let made = world.secrets_manager().calls().split_off(calls);
        self.calls = made.into_iter().map(|call| call.operation).collect();
        self.accepted = after.accepted - logins.accepted;
        self.rejected = after.rejected - logins.rejected;
        Ok(())
    }

    pub(super) async fn rotate_cold(&mut self, world: &World, secret: &str) -> Result<(), Error> {
        for (step, took) in steps(&rotated(world, secret).await?) {
            self.cold.entry(step).or_default().push(took);
        }
        Ok(())
    }

    /// Memory by time, as Lambda bills a function whose memory is set to its peak.
    pub(super) fn billed(&self, side: &Side) -> Sample {
        let gigabytes = peak(side).median() / 1024.0;
        let billed = self.billed.iter().map(|time| time * gigabytes);
        Sample::of(billed.collect(), "GB-ms")
    }
}
