//! A function, ours or a peer.

use std::path::Path;

use local::{
    memory,
    world::{Options, World},
};

use crate::bench::row::{Goal, Row, Sample};

/// A function, in a world in which it stays warm, and in one in which each step has a new process.
pub struct Side {
    /// What the page calls it.
    name: &'static str,
    pub(super) warm: World,
    pub(super) cold: World,
}

impl Side {
    /// Starts both worlds.
    ///
    /// # Errors
    ///
    /// A world does not start.
    pub async fn start(name: &'static str, function: &Path) -> Result<Self, local::world::Error> {
        let mut cold = Options::new(function);
        cold.cold_starts = true;
        Ok(Self {
            name,
            warm: World::start(Options::new(function)).await?,
            cold: World::start(cold).await?,
        })
    }

    /// A row in which this side is the peer.
    pub(super) fn beside(
        &self,
        what: &str,
        ours: Sample,
        theirs: Sample,
        goal: Option<Goal>,
    ) -> Row {
        Row {
            what: what.to_owned(),
            ours,
            peer: Some((self.name, theirs)),
            goal,
        }
    }
}

pub(super) async fn starts(side: &Side, count: usize) -> Sample {
    let mut starts = Vec::new();
    for _ in 0..count {
        starts.extend(side.warm.function().start_up().await);
    }
    Sample::times(starts)
}

pub(super) fn peak(side: &Side) -> Sample {
    let processes = side.warm.function().processes().into_iter();
    let peak = processes.filter_map(memory::peak).max();
    Sample::one(peak.unwrap_or_default() as f64 / 1024.0, "MB")
}
