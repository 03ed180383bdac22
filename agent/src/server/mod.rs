//! The port and the sockets: accepts connections, runs the agent's periodic work, and lets open requests finish at the end.

mod half_closed;
mod listen;
mod metrics;
mod serve;
mod socket;

use std::{sync::Arc, time::Duration};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    sync::OwnedSemaphorePermit,
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};

pub use self::{listen::Listeners, metrics::Metrics};
use self::{listen::Stream, serve::serve_agent};
use crate::{Agent, connections::Connections, store::BETWEEN};

/// How often to drop secrets that nobody reads.
const SWEEP: Duration = Duration::from_secs(5);

/// How long shutdown waits for open requests.
const DRAIN: Duration = Duration::from_secs(10);

/// The agent behind its port and its sockets.
pub struct Server {
    listeners: Listeners,
    metrics: Option<Metrics>,
    agent: Arc<Agent>,
}

impl Server {
    /// Serves on these listeners.
    pub fn new(listeners: Listeners, metrics: Option<Metrics>, agent: Arc<Agent>) -> Self {
        Self {
            listeners,
            metrics,
            agent,
        }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.listeners.port().unwrap_or(self.agent.settings.port)
    }

    /// The agent that it serves.
    pub fn agent(&self) -> Arc<Agent> {
        self.agent.clone()
    }

    /// Serves until `ended` completes, then lets open requests finish.
    pub async fn run(self, ended: impl Future<Output = ()>) {
        let Self {
            mut listeners,
            metrics,
            agent,
        } = self;
        let graceful = GracefulShutdown::new();
        let connections = Connections::new(agent.settings.connections);
        let metrics = metrics.map(|metrics| {
            let running = metrics.run(agent.clone(), connections.clone());
            tokio::spawn(running).abort_handle()
        });
        let (mut sweep, mut pulse) = (every(SWEEP), every(BETWEEN));
        let mut following = tokio::spawn(async {});
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                _ = pulse.tick() => agent.stores.feel(),
                _ = sweep.tick() => {
                    agent.stores.sweep();
                    // a file that hangs: the others' rights may still end
                    review(&agent, &connections);
                    if following.is_finished() {
                        following = tokio::spawn(follow(agent.clone(), connections.clone()));
                    }
                }
                (room, stream) = next(&connections, &mut listeners) => {
                    let agent = agent.clone();
                    match stream {
                        Stream::Port(stream) => {
                            // answers are small: send them at once
                            let _ = stream.set_nodelay(true);
                            connections.run(room, None, |connection| {
                                ended_or_left(graceful.watch(serve_agent(stream, agent, connection)))
                            });
                        }
                        Stream::Socket(stream, peer) => connections.run(room, Some(peer), |connection| {
                            ended_or_left(graceful.watch(serve_agent(stream, agent, connection)))
                        }),
                    }
                }
            }
        }
        // new connections are refused at once
        drop(listeners);
        agent.ending.send_replace(true);
        if let Some(metrics) = metrics {
            metrics.abort();
        }
        connections.dismiss_guests();
        if timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!(after = ?DRAIN, "open requests were cut");
        }
    }
}

/// Reads the token files again, on another thread: they may be on a server that does not answer.
async fn follow(agent: Arc<Agent>, connections: Connections) {
    let access = agent.access();
    if spawn_blocking(move || access.tokens.follow()).await.is_ok() {
        review(&agent, &connections);
    }
}

fn review(agent: &Agent, connections: &Connections) {
    let access = agent.access();
    connections.review(|asker| access.right(asker).is_some());
}

/// The client left, or has got its error.
async fn ended_or_left(served: impl Future<Output = Result<(), hyper::Error>>) {
    let _ = served.await;
}

/// The next connection, and its place.
async fn next(
    connections: &Connections,
    listeners: &mut Listeners,
) -> (OwnedSemaphorePermit, Stream) {
    loop {
        let Some(room) = connections.room().await else {
            continue;
        };
        match listeners.accept().await {
            Ok(stream) => return (room, stream),
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
