//! The port: connections come in, what is held is looked after, and what is under way at the end is finished.

mod serve;

use std::{sync::Arc, time::Duration};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};

use self::serve::serve;
use crate::{Agent, connections::Connections, store::BETWEEN};

/// How often it is looked for what nobody reads.
const SWEEP: Duration = Duration::from_secs(5);

/// How long the end waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);

/// The agent behind its port.
pub struct Server {
    listener: TcpListener,
    agent: Arc<Agent>,
}

impl Server {
    /// On this listener.
    pub fn new(listener: TcpListener, agent: Arc<Agent>) -> Self {
        Self { listener, agent }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        let address = self.listener.local_addr();
        address.map_or(self.agent.settings.port, |address| address.port())
    }

    /// What it serves from.
    pub fn agent(&self) -> Arc<Agent> {
        self.agent.clone()
    }

    /// Serves until this ends, and lets what is under way finish.
    pub async fn run(self, ended: impl Future<Output = ()>) {
        let Self { listener, agent } = self;
        let graceful = GracefulShutdown::new();
        let connections = Connections::new(agent.settings.connections);
        let (mut sweep, mut pulse) = (every(SWEEP), every(BETWEEN));
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                _ = pulse.tick() => agent.stores.feel(),
                _ = sweep.tick() => {
                    agent.stores.sweep();
                    agent.tokens.follow();
                }
                (room, stream) = next(&connections, &listener) => {
                    // answers are small, and wait for no other
                    let _ = stream.set_nodelay(true);
                    connections.run(room, |connection| {
                        let served = graceful.watch(serve(stream, agent.clone(), connection));
                        async move {
                            // the other side went, or was told why
                            let _ = served.await;
                        }
                    });
                }
            }
        }
        // who comes now is refused at once, and need not wait for the end
        drop(listener);
        connections.dismiss_guests();
        if timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!(after = ?DRAIN, "requests under way were cut");
        }
    }
}

/// The next connection, and its place.
async fn next(
    connections: &Connections,
    listener: &TcpListener,
) -> (OwnedSemaphorePermit, TcpStream) {
    loop {
        let Some(room) = connections.room().await else {
            continue;
        };
        match listener.accept().await {
            Ok((stream, _)) => return (room, stream),
            Err(error) => {
                // no descriptor is free: one will be
                tracing::warn!(%error, "a connection was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What was missed in a freeze is not made up for.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
