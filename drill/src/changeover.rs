//! What a changeover costs an application, for each pool and strategy: the slowest request during rotations, compared with a run without
//! them, and the number of new connections.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use local::{postgres, world::World};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    application::{Access, Application, Cache, Connections, Workload},
    bench::rotate,
    demo::Error,
};

/// As many as the pool has connections.
const WORKERS: usize = 15;
const BETWEEN_ROTATIONS: Duration = Duration::from_secs(5);

/// Time for the server to publish its count of sessions, and for the pool to open all connections.
const SETTLED: Duration = Duration::from_secs(3);

const POOLS: [Connections; 3] = [Connections::Deadpool, Connections::Bb8, Connections::Sqlx];

/// The result of one run.
struct Run {
    requests: u64,
    failures: u64,
    slowest: Duration,
    rotations: i64,
    sessions: i64,
}

/// Runs each pool with each strategy for `length`: once without a rotation, once with one every five seconds. Writes a row for each.
///
/// # Errors
///
/// A rotation fails, or the server does not count sessions (PostgreSQL before 14).
pub async fn run(world: &World, length: Duration, out: &mut impl Write) -> Result<(), Error> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "slowest request, ms",
        "requests",
        "failed",
        "no rotation",
        "rotations",
        "rotating",
        "ratio",
        "connections a rotation",
    ]);
    let strategies = [
        ("single user", world.single_user()),
        ("alternating users", world.alternating_users()),
    ];
    for (strategy, secret) in strategies {
        // the function logs in too, and the listener does after each change
        let alone = alone(world, secret).await?;
        for pool in POOLS {
            let without = one(world, secret, pool, length, false).await?;
            let with = one(world, secret, pool, length, true).await?;
            let made = with.sessions - with.rotations * (alone + 1);
            let ms = |run: &Run| run.slowest.as_secs_f64() * 1000.0;
            table.add_row([
                format!("{strategy}, {}", pool.name()),
                with.requests.to_string(),
                (with.failures + without.failures).to_string(),
                format!("{:.1}", ms(&without)),
                with.rotations.to_string(),
                format!("{:.1}", ms(&with)),
                format!("{:.1}", ms(&with) / ms(&without)),
                format!("{:.1} of {WORKERS}", made as f64 / with.rotations as f64),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "{} s each; {WORKERS} workers with a connection each; a rotation every {} s",
        length.as_secs(),
        BETWEEN_ROTATIONS.as_secs()
    )?;
    Ok(())
}

/// How many sessions a rotation itself opens.
async fn alone(world: &World, secret: &str) -> Result<i64, Error> {
    rotate(world, secret).await?;
    let before = sessions(world).await?;
    rotate(world, secret).await?;
    Ok(sessions(world).await? - before)
}

async fn one(
    world: &World,
    secret: &str,
    pool: Connections,
    length: Duration,
    rotates: bool,
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
    let application = Application::start(&Access::in_world(world, secret), &workload).await?;
    while !application.all_work() {
        sleep(Duration::from_millis(10)).await;
    }
    let before = sessions(world).await?;
    let started = application.spans(pool).len();
    let (begun, mut rotations) = (Instant::now(), 0);
    let mut turns = interval(BETWEEN_ROTATIONS);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < length {
        turns.tick().await;
        if rotates {
            rotate(world, secret).await?;
            rotations += 1;
        }
    }
    sleep(SETTLED).await; // the last worker's pool has changed over
    let spans = application.spans(pool).split_off(started);
    let sessions = sessions(world).await? - before;
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
async fn sessions(world: &World) -> Result<i64, Error> {
    sleep(SETTLED).await;
    let superuser = world.postgres().superuser_client().await?;
    let counted = "SELECT sessions FROM pg_stat_database WHERE datname = $1";
    Ok(superuser
        .query_one(counted, &[&world.dbname()])
        .await
        .map_err(postgres::Error::from)?
        .get(0))
}
