//! The port: accepts connections, runs the agent's periodic work, and lets open requests finish at the end.

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

/// How often to drop secrets that nobody reads.
const SWEEP: Duration = Duration::from_secs(5);

/// How long shutdown waits for open requests.
const DRAIN: Duration = Duration::from_secs(10);

/// The agent behind its port.
pub struct Server {
    listener: TcpListener,
    agent: Arc<Agent>,
}

impl Server {
    /// Serves on this listener.
    pub fn new(listener: TcpListener, agent: Arc<Agent>) -> Self {
        Self { listener, agent }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        let address = self.listener.local_addr();
        address.map_or(self.agent.settings.port, |address| address.port())
    }

    /// The agent that it serves.
    pub fn agent(&self) -> Arc<Agent> {
        self.agent.clone()
    }

    /// Serves until `ended` completes, then lets open requests finish.
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
                    agent.stores.adopt(&agent.followed);
                    agent.stores.sweep();
                    agent.tokens.follow();
                }
                (room, stream) = next(&connections, &listener) => {
                    // answers are small: send them at once
                    let _ = stream.set_nodelay(true);
                    connections.run(room, |connection| {
                        let served = graceful.watch(serve(stream, agent.clone(), connection));
                        async move {
                            // the client left, or has got its error
                            let _ = served.await;
                        }
                    });
                }
            }
        }
        // new connections are refused at once
        drop(listener);
        agent.ending.send_replace(true);
        connections.dismiss_guests();
        if timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!(after = ?DRAIN, "open requests were cut");
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
                // no descriptor is free now
                tracing::warn!(%error, "a connection was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Ticks that a freeze has missed are skipped.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
