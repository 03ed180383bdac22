//! What a changeover costs an application, for each pool and strategy: the slowest request during rotations, compared with a run without
//! them, lost requests, and the number of new connections.

use std::time::Duration;

use local::{postgres, world::World};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::{
    Effort, Error,
    rotate::rotate,
    row::{Goal, Row, Sample},
};
use crate::{
    application::{Access, Application, Cache, Connections, Workload},
    demo,
};

/// As many as the pool has connections.
const WORKERS: usize = 15;
const BETWEEN_ROTATIONS: Duration = Duration::from_secs(5);

const POOLS: [Connections; 3] = [Connections::Deadpool, Connections::Bb8, Connections::Sqlx];

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    format!(
        "{WORKERS} workers share a pool of {WORKERS} connections and make a request every 20 ms each, for {} s without a rotation, then for as \
         long with one every {} s. The server counts logins; those of the rotation itself and of the listener are left out.",
        effort.pools.as_secs(),
        BETWEEN_ROTATIONS.as_secs()
    )
}

/// The result of one run.
struct Run {
    requests: u64,
    failures: u64,
    slowest: Duration,
    rotations: i64,
    sessions: i64,
}

/// Runs each pool with each strategy, without a rotation and with rotations.
///
/// # Errors
///
/// A rotation fails, or the server does not count sessions (PostgreSQL before 14).
pub async fn measure(world: &World, effort: Effort) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let strategies = [
        ("single user", world.single_user()),
        ("alternating users", world.alternating_users()),
    ];
    for (strategy, secret) in strategies {
        // the function logs in too, and the listener does after each change
        let alone = alone(world, secret, effort).await?;
        for pool in POOLS {
            let without = one(world, secret, pool, false, effort).await?;
            let with = one(world, secret, pool, true, effort).await?;
            let made = with.sessions - with.rotations * (alone + 1);
            let row = |what: &str, ours, peer, goal| Row {
                what: format!("{strategy}, {}: {what}", pool.name()),
                ours,
                peer,
                goal: Some(goal),
            };
            let beside = |sample: fn(&Run) -> Sample| {
                (sample(&with), Some(("no rotation", sample(&without))))
            };
            let (ours, peer) = beside(|run| Sample::times([run.slowest]));
            rows.push(row("the slowest request", ours, peer, Goal::Within(3.0)));
            let (ours, peer) = beside(|run| Sample::one(run.failures as f64, ""));
            let lost = format!("requests lost, of {}", with.requests);
            rows.push(row(&lost, ours, peer, Goal::AtMost(0.0)));
            let logins = Sample::one(made as f64 / with.rotations as f64, "");
            // more would be a connection that is made twice
            let once = Goal::AtMost(WORKERS as f64);
            rows.push(row("logins for a rotation", logins, None, once));
        }
    }
    Ok(rows)
}

/// How many sessions a rotation itself opens.
async fn alone(world: &World, secret: &str, effort: Effort) -> Result<i64, Error> {
    rotate(world, secret).await?;
    let before = sessions(world, effort).await?;
    rotate(world, secret).await?;
    Ok(sessions(world, effort).await? - before)
}

async fn one(
    world: &World,
    secret: &str,
    pool: Connections,
    rotates: bool,
    effort: Effort,
) -> Result<Run, Error> {
    let workload = Workload {
        connections: vec![pool],
        workers: WORKERS,
        pause: Duration::from_millis(20),
        patience: Duration::from_secs(60),
        span: Duration::from_secs(1),
        cache: Cache::Rotating {
            ttl: Duration::from_secs(600),
            listen: true,
        },
    };
    let access = Access::in_world(world, secret);
    let application = Application::start(&access, &workload).await;
    let application = application.map_err(demo::Error::from)?;
    while !application.all_work() {
        sleep(Duration::from_millis(10)).await;
    }
    let before = sessions(world, effort).await?;
    let started = application.spans(pool).len();
    let mut rotations = 0;
    let mut turns = interval(BETWEEN_ROTATIONS);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + effort.pools;
    loop {
        tokio::select! {
            () = sleep_until(end) => break,
            _ = turns.tick(), if rotates => {
                rotate(world, secret).await?;
                rotations += 1;
            }
        }
    }
    sleep(effort.settled).await; // the last worker's pool has changed over
    let spans = application.spans(pool).split_off(started);
    let sessions = sessions(world, effort).await? - before;
    let latencies = spans.iter().filter_map(|span| span.latency);
    Ok(Run {
        requests: spans.iter().map(|span| span.requests).sum(),
        failures: spans.iter().map(|span| span.failures).sum(),
        slowest: latencies
            .map(|latency| latency.slowest)
            .max()
            .unwrap_or_default(),
        rotations,
        sessions,
    })
}

/// The number of sessions so far in the secrets' database.
async fn sessions(world: &World, effort: Effort) -> Result<i64, Error> {
    sleep(effort.settled).await;
    let superuser = world.postgres().superuser_client().await?;
    let counted = "SELECT sessions FROM pg_stat_database WHERE datname = $1";
    Ok(superuser
        .query_one(counted, &[&world.dbname()])
        .await
        .map_err(postgres::Error::from)?
        .get(0))
}
