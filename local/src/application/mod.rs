//! An application beside a rotation: workers that use the database all the time, and count what fails.
//!
//! It reads its credential through `rotating-secret`, or, to see the difference, through a plain cache with a lifetime
//! and nothing else.

mod clients;
mod plain;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::world::World;
use clients::Client;

/// A request that takes longer than this has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How a worker gets its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connections {
    /// A new one for every request.
    Fresh,
    /// From a deadpool-postgres pool.
    Deadpool,
    /// From a bb8 pool.
    Bb8,
    /// From an sqlx pool.
    Sqlx,
}

impl Connections {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Deadpool, Self::Bb8, Self::Sqlx];

    /// As a table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "a connection per request",
            Self::Deadpool => "deadpool-postgres",
            Self::Bb8 => "bb8",
            Self::Sqlx => "sqlx",
        }
    }
}

/// Where the credential comes from.
#[derive(Clone, Copy, Debug)]
pub enum Cache {
    /// `rotating-secret`, with this lifetime.
    Rotating {
        /// Its `ttl`.
        ttl: Duration,
        /// Whether the database tells it of a change.
        listen: bool,
    },
    /// What is read is used until this is over.
    Plain {
        /// Its lifetime.
        ttl: Duration,
    },
}

/// One request that succeeded.
#[derive(Clone, Copy, Debug)]
struct Served {
    took: Duration,
    /// When it was served.
    at: SystemTime,
    /// Whose session it was, and since when, as the server has it.
    user_is_clone: bool,
    session_began: SystemTime,
}

/// What one worker saw.
#[derive(Debug, Default)]
struct Seen {
    served: Vec<Served>,
    failures: usize,
    first_failure: Option<String>,
}

/// The running application. Dropping it stops the workers.
pub struct Application {
    workers: Vec<(Connections, Arc<Mutex<Seen>>)>,
    failures: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

/// What the workers with one kind of connections saw, together.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Which kind.
    pub connections: Connections,
    /// Requests that were begun and ended.
    pub requests: usize,
    /// Those that failed.
    pub failures: usize,
    /// What the first of them said.
    pub first_failure: Option<String>,
    /// The slowest that succeeded.
    pub slowest: Duration,
}

/// What tells sessions of a version from those before it.
#[derive(Clone, Debug)]
pub struct Version {
    /// Who it logs in as.
    pub user: String,
    /// When setSecret began that made the server accept it.
    pub set: SystemTime,
}

impl Application {
    /// Starts `workers` for each of `connections`, each of which makes a request every `pause`.
    ///
    /// # Errors
    ///
    /// The credential cannot be read, or a pool cannot be made.
    pub async fn start(
        world: &World,
        secret: &str,
        connections: &[Connections],
        workers: usize,
        pause: Duration,
        cache: Cache,
    ) -> Result<Self, Error> {
        let mut application = Self {
            workers: Vec::new(),
            failures: Arc::default(),
            tasks: JoinSet::new(),
        };
        // a future of many nested ones: boxed, or its type grows too deep for the compiler
        let clients = Box::pin(clients::all(world, secret, connections, workers, cache));
        for (connections, client) in clients.await? {
            let client = Arc::new(client);
            for _ in 0..workers {
                let seen = Arc::new(Mutex::new(Seen::default()));
                application.workers.push((connections, seen.clone()));
                let failures = application.failures.clone();
                application
                    .tasks
                    .spawn(work(client.clone(), seen, failures, pause));
            }
        }
        Ok(application)
    }

    /// How many requests failed so far.
    pub fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether each worker's last request used this version, and a request of every worker was served since `since`.
    pub fn all_use(&self, version: &Version, since: SystemTime) -> bool {
        self.workers.iter().all(|(_, seen)| {
            let seen = lock(seen);
            let last = seen.served.last();
            last.is_some_and(|served| served.at >= since && is_of(served, version))
        })
    }

    /// How long after `finished` it took, with each kind of connections, until the last worker had served its last
    /// request on an older version.
    ///
    /// None as long as one of them has served none since on this version.
    pub fn delays(
        &self,
        version: &Version,
        finished: SystemTime,
    ) -> HashMap<Connections, Option<Duration>> {
        let mut delays = HashMap::new();
        for (connections, seen) in &self.workers {
            let seen = lock(seen);
            let older = seen
                .served
                .iter()
                .rposition(|served| !is_of(served, version));
            let first = seen.served.get(older.map_or(0, |older| older + 1));
            let delay = first.map(|first| first.at.duration_since(finished).unwrap_or_default());
            let longest = delays.entry(*connections).or_insert(Some(Duration::ZERO));
            *longest = longest.zip(delay).map(|(one, other)| one.max(other));
        }
        delays
    }

    /// What was seen so far, by kind of connections.
    pub fn summaries(&self) -> Vec<Summary> {
        let mut summaries: Vec<Summary> = Vec::new();
        for (connections, seen) in &self.workers {
            let seen = lock(seen);
            let slowest = seen.served.iter().map(|served| served.took).max();
            let of_worker = Summary {
                connections: *connections,
                requests: seen.served.len() + seen.failures,
                failures: seen.failures,
                first_failure: seen.first_failure.clone(),
                slowest: slowest.unwrap_or_default(),
            };
            match summaries
                .iter_mut()
                .find(|summary| summary.connections == *connections)
            {
                None => summaries.push(of_worker),
                Some(summary) => {
                    summary.requests += of_worker.requests;
                    summary.failures += of_worker.failures;
                    summary.slowest = summary.slowest.max(of_worker.slowest);
                    summary.first_failure =
                        summary.first_failure.take().or(of_worker.first_failure);
                }
            }
        }
        summaries
    }
}

async fn work(
    client: Arc<Client>,
    seen: Arc<Mutex<Seen>>,
    failures: Arc<AtomicUsize>,
    pause: Duration,
) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let answer = match timeout(REQUEST_TIMEOUT, client.request()).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {REQUEST_TIMEOUT:?}")),
        };
        let took = begun.elapsed();
        let mut seen = lock(&seen);
        match answer {
            Ok(session) => seen.served.push(Served {
                took,
                at: SystemTime::now(),
                user_is_clone: session.user.ends_with("_clone"),
                session_began: session.began,
            }),
            Err(error) => {
                seen.failures += 1;
                seen.first_failure.get_or_insert(error);
                failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn is_of(served: &Served, version: &Version) -> bool {
    served.user_is_clone == version.user.ends_with("_clone") && served.session_began >= version.set
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there is no application.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credential.
    #[error(transparent)]
    Secret(#[from] rotating_secret::BuildError),
    /// No pool.
    #[error("there is no pool: {0}")]
    Pool(String),
    /// No certificate to trust.
    #[error(transparent)]
    Tls(#[from] rotating_secret::postgres::NoTls),
}
