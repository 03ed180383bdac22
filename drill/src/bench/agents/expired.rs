//! A thousand readers ask for an expired secret at one moment.

use std::{
    io,
    time::{Duration, Instant},
};

use local::{
    secrets_manager::{Behavior, Fault},
    world::World,
};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

use super::{
    Error, READ, READERS, TTL, UPSTREAM,
    running::{Agent, read_on},
};

/// What a thousand readers of an expired secret cause.
pub(super) struct Expired {
    pub(super) calls: usize,
    pub(super) slowest: Duration,
}

impl Agent {
    /// A thousand readers ask at the same moment, after the time to live.
    pub(super) async fn expire(&self, world: &World) -> Result<Expired, Error> {
        let (agent, _) = self.start(world, TTL.as_secs()).await?;
        agent.read().await?;
        sleep(TTL + TTL / 3).await;
        let faults = ["GetSecretValue", "DescribeSecret"].map(|operation| {
            let slow = Fault::on(operation, Behavior::Delay(UPSTREAM));
            world.secrets_manager().inject(slow.times(usize::MAX))
        });
        let mut connections = Vec::new();
        for _ in 0..READERS {
            connections.push(TcpStream::connect(("127.0.0.1", agent.port)).await?);
        }
        let (before, began) = (world.secrets_manager().calls().len(), Instant::now());
        let mut readers = JoinSet::new();
        for connection in connections {
            readers.spawn(async move {
                read_on(connection, READ).await?;
                Ok::<_, Error>(began.elapsed())
            });
        }
        let mut slowest = Duration::ZERO;
        while let Some(read) = readers.join_next().await {
            slowest = slowest.max(read.map_err(io::Error::other)??);
        }
        // a renewal in the background ends after its readers
        sleep(2 * UPSTREAM).await;
        let calls = world.secrets_manager().calls().len() - before;
        for fault in faults {
            world.secrets_manager().clear_faults(Some(fault));
        }
        Ok(Expired { calls, slowest })
    }
}
