//! An application during a rotation: its workers use the database all the time, and count failures.
//!
//! It reads its credential through `rotating-secret`. For comparison it can use a plain cache, which has only a lifetime.

mod clients;
mod plain;
mod record;
mod session;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_secretsmanager::Client as SecretsManager;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

pub use self::record::{HandOver, Latency, Span};
use self::{
    clients::Client,
    record::{Seen, Served, Timeline},
};

/// Most applications treat a request that takes longer than this as failed.
pub const USUAL_PATIENCE: Duration = Duration::from_secs(10);

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
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Deadpool, Self::Bb8, Self::Sqlx];

    /// The name in tables.
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
        /// Whether the database notifies the client of a change.
        listen: bool,
    },
    /// A plain cache: a value is used until its lifetime ends.
    Plain {
        /// Its lifetime.
        ttl: Duration,
    },
}

/// Where an application finds its credential.
#[derive(Clone, Debug)]
pub struct Access {
    /// The service that stores the secret.
    pub service: SecretsManager,
    /// The secret's name or ARN.
    pub secret: String,
    /// A PEM file with the CA of the database server, if that is neither RDS's nor a public one.
    pub ca_file: Option<PathBuf>,
    /// How many microseconds the database server's clock is ahead of ours. It gives the start times of sessions.
    pub database_ahead: i64,
}

#[cfg(feature = "local")]
impl Access {
    /// Access to a secret of a world on this machine: all programs have the same clock.
    pub fn in_world(world: &local::world::World, secret: &str) -> Self {
        Self {
            service: world.aws(),
            secret: secret.to_owned(),
            ca_file: Some(world.postgres().ca_file()),
            database_ahead: 0,
        }
    }
}

/// What an application does.
#[derive(Clone, Debug)]
pub struct Workload {
    /// How its workers get their connections.
    pub connections: Vec<Connections>,
    /// The number of workers of each kind.
    pub workers: usize,
    /// The time from the start of one request to the start of the next.
    pub pause: Duration,
    /// A request that takes longer has failed.
    pub patience: Duration,
    /// The length of a span. Requests are counted for each span.
    pub span: Duration,
    /// Where the credential comes from.
    pub cache: Cache,
}

/// The running application. Dropping it stops the workers.
pub struct Application {
    began: SystemTime,
    workers: Vec<(Connections, Arc<Mutex<Seen>>)>,
    timelines: Vec<(Connections, Arc<Mutex<Timeline>>)>,
    requests: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

/// The combined record of all workers with one kind of connections.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Which kind.
    pub connections: Connections,
    /// Requests that have ended.
    pub requests: usize,
    /// Requests that failed.
    pub failures: usize,
    /// The first failure's message.
    pub first_failure: Option<String>,
    /// The slowest request that succeeded.
    pub slowest: Duration,
}

impl Summary {
    /// A summary without requests.
    pub(crate) fn new(connections: Connections) -> Self {
        Self {
            connections,
            requests: 0,
            failures: 0,
            first_failure: None,
            slowest: Duration::ZERO,
        }
    }
}

/// How to distinguish a version's sessions from older ones.
#[derive(Clone, Debug)]
pub struct Version {
    /// The user of its login.
    pub user: String,
    /// When its setSecret began. The server accepts the version some time after that.
    pub set: SystemTime,
}

impl Application {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// The credential cannot be read, or a pool cannot be made.
    pub async fn start(access: &Access, workload: &Workload) -> Result<Self, Error> {
        // boxed: the nested futures make a type that is too deep for the compiler
        let clients = Box::pin(clients::all(access, workload)).await?;
        let begun = Instant::now();
        let mut application = Self {
            began: SystemTime::now(),
            workers: Vec::new(),
            timelines: Vec::new(),
            requests: Arc::default(),
            failures: Arc::default(),
            tasks: JoinSet::new(),
        };
        for (connections, client) in clients {
            let client = Arc::new(client);
            let timeline = Arc::new(Mutex::new(Timeline::new(begun, workload.span)?));
            application.timelines.push((connections, timeline.clone()));
            for _ in 0..workload.workers {
                let seen = Arc::new(Mutex::new(Seen::default()));
                application.workers.push((connections, seen.clone()));
                let records = Records {
                    seen,
                    timeline: timeline.clone(),
                    requests: application.requests.clone(),
                    failures: application.failures.clone(),
                    database_ahead: access.database_ahead,
                };
                application.tasks.spawn(work(
                    client.clone(),
                    records,
                    workload.pause,
                    workload.patience,
                ));
            }
        }
        Ok(application)
    }

    /// When the workers started. The first span begins then.
    pub fn began(&self) -> SystemTime {
        self.began
    }

    /// How many requests ended so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many of them failed.
    pub fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether each worker has had one successful request.
    pub fn all_work(&self) -> bool {
        self.workers.iter().all(|(_, seen)| lock(seen).has_worked())
    }

    /// Whether each worker's last request used this version, and each had a successful request since `since`.
    pub fn all_use(&self, version: &Version, since: SystemTime) -> bool {
        self.workers
            .iter()
            .all(|(_, seen)| lock(seen).uses(version, since))
    }

    /// When the workers with this kind of connections changed over to a version, by their last requests.
    /// Call it before the next rotation.
    pub fn hand_over(&self, connections: Connections, version: &Version) -> HandOver {
        self.workers
            .iter()
            .filter(|(kind, _)| *kind == connections)
            .map(|(_, seen)| lock(seen).hand_over(version))
            .reduce(HandOver::and)
            .unwrap_or_default()
    }

    /// The spans of this kind of connections. The workload sets their length.
    pub fn spans(&self, connections: Connections) -> Vec<Span> {
        self.timelines
            .iter()
            .find(|(kind, _)| *kind == connections)
            .map(|(_, timeline)| lock(timeline).spans())
            .unwrap_or_default()
    }

    /// The summary of this kind of connections so far.
    pub fn summary(&self, connections: Connections) -> Summary {
        let mut summary = Summary::new(connections);
        for (_, seen) in self.workers.iter().filter(|(kind, _)| *kind == connections) {
            let seen = lock(seen);
            summary.requests += seen.requests;
            summary.failures += seen.failures;
            summary.slowest = summary.slowest.max(seen.slowest);
            let first = summary.first_failure.take();
            summary.first_failure = first.or(seen.first_failure.clone());
        }
        summary
    }

    /// The summary of each kind.
    pub fn summaries(&self) -> Vec<Summary> {
        let kinds = self.timelines.iter();
        kinds.map(|(kind, _)| self.summary(*kind)).collect()
    }
}

/// The records of the workers.
struct Records {
    seen: Arc<Mutex<Seen>>,
    timeline: Arc<Mutex<Timeline>>,
    requests: Arc<AtomicUsize>,
    failures: Arc<AtomicUsize>,
    database_ahead: i64,
}

async fn work(client: Arc<Client>, records: Records, pause: Duration, patience: Duration) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let answer = match timeout(patience, client.request()).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {patience:?}")),
        };
        let took = begun.elapsed();
        lock(&records.timeline).add(answer.is_ok().then_some(took));
        records.requests.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(session) => {
                let served = Served {
                    at: SystemTime::now(),
                    user_is_clone: session.user.ends_with("_clone"),
                    session_began: session.began.map(|micros| {
                        let ours = micros.saturating_sub(records.database_ahead);
                        SystemTime::UNIX_EPOCH + Duration::from_micros(ours.unsigned_abs())
                    }),
                };
                lock(&records.seen).served(served, took);
            }
            Err(error) => {
                lock(&records.seen).failed(error);
                records.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn lock<T>(records: &Mutex<T>) -> MutexGuard<'_, T> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the application does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The credential cannot be read.
    #[error(transparent)]
    Secret(#[from] rotating_secret::BuildError),
    /// The pool cannot be made.
    #[error("the pool cannot be made: {0}")]
    Pool(String),
    /// There is no certificate to trust.
    #[error(transparent)]
    Tls(#[from] rotating_secret::postgres::TlsError),
    /// A file of roots cannot be read.
    #[error("the roots in {file} cannot be read ({source}): name a readable PEM file")]
    CaFile {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The latencies cannot be counted.
    #[error("requests cannot be counted ({0}): this is a fault of this program")]
    Histogram(#[from] hdrhistogram::CreationError),
}
