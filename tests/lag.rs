//! A store that lags: an application reads its secret from a replica, which gets each change later than the function and the
//! database. No request fails.

#![cfg(test)]

mod common;

use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::{
    Client,
    config::Region,
    types::{ReplicaRegionType, StatusType},
};
use common::{LONG, options, rotate, start, until};
use drill::application::{Access, Application, Cache, Connections, Workload};
use local::{postgres::Settings, world::World};
use tokio::runtime::Builder;

/// One replica for each, side by side.
const LAGS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(3),
];

const BETWEEN_ROTATIONS: Duration = Duration::from_secs(5);

/// With room for the connections of all tasks.
async fn roomy_world() -> World {
    let settings = Settings {
        conf: "max_connections = 500".to_owned(),
        ..Settings::default()
    };
    start(options().own_postgres(settings)).await
}

/// The region whose replicas have this lag.
fn region(lag: Duration) -> String {
    format!("replica-{}", lag.as_millis())
}

/// Has the secret replicated to a region for each lag, and waits until all have it.
async fn replicate(world: &World, secret: &str) {
    let mut replicate = world.aws().replicate_secret_to_regions().secret_id(secret);
    for lag in LAGS {
        world.secrets_manager().set_replica_lag(&region(lag), lag);
        let to = ReplicaRegionType::builder().region(region(lag));
        replicate = replicate.add_replica_regions(to.build());
    }
    replicate.send().await.unwrap();
    until("all regions have it", async || {
        let described = world.aws().describe_secret().secret_id(secret).send();
        let described = described.await.unwrap();
        let mut replicas = described.replication_status().iter();
        replicas.all(|replica| replica.status() == Some(&StatusType::InSync))
    })
    .await;
}

/// The world's client, in the region whose replicas have this lag.
fn client(world: &World, lag: Duration) -> Client {
    let config = world.aws().config().to_builder();
    Client::from_conf(config.region(Region::new(region(lag))).build())
}

/// Starts a quarter of the tasks, on their own runtime: sqlx computes a password's proof in slices. Beside a hundred busy tasks of a
/// debug build, a login would take longer than the time until the next rotation.
async fn start_those_with(connections: Connections, access: Access) -> Application {
    let workload = Workload {
        connections: vec![connections],
        workers: 60 / Connections::ALL.len(),
        pause: Duration::from_secs(2), // a login takes a debug build long
        patience: Duration::from_secs(60),
        span: LONG,
        cache: Cache::Rotating {
            ttl: LONG,
            listen: true,
        },
    };
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let started = runtime.spawn(async move { Application::start(&access, &workload).await });
    let application = started.await.unwrap().unwrap();
    // a runtime must not be dropped inside another runtime; its tasks end with the application
    std::mem::forget(runtime);
    application
}

/// Sixty tasks beside each replica, for this time.
async fn no_request_fails(world: &World, secret: &str, time: Duration) {
    replicate(world, secret).await;
    let mut applications = Vec::new();
    for lag in LAGS {
        let access = Access {
            service: client(world, lag),
            ..Access::in_world(world, secret)
        };
        for connections in Connections::ALL {
            let application = start_those_with(connections, access.clone()).await;
            applications.push((lag, application));
        }
    }
    let none_failed = || {
        for (lag, application) in &applications {
            let summaries = application.summaries();
            assert_eq!(application.failures(), 0, "{lag:?}: {summaries:#?}");
        }
    };
    until("all work", async || {
        none_failed();
        applications
            .iter()
            .all(|(_, application)| application.all_work())
    })
    .await;
    let begun = Instant::now();
    let mut turns = tokio::time::interval(BETWEEN_ROTATIONS);
    while begun.elapsed() < time {
        turns.tick().await;
        let rotation = rotate(world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        none_failed();
    }
    // the tasks that wait now must get a connection too
    let requests = applications
        .iter()
        .map(|(_, application)| application.requests());
    let requests: Vec<usize> = requests.collect();
    until("all go on", async || {
        none_failed();
        let both = applications.iter().zip(&requests);
        both.into_iter()
            .all(|((_, application), before)| application.requests() > before + 2 * 15)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_tasks_with_a_lagging_store_lose_no_request_while_a_single_user_rotates() {
    let world = roomy_world().await;
    no_request_fails(&world, world.single_user(), Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: make verify"]
async fn sixty_tasks_lose_no_request_for_two_minutes_while_a_single_user_rotates() {
    let world = roomy_world().await;
    no_request_fails(&world, world.single_user(), Duration::from_secs(120)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: make verify"]
async fn sixty_tasks_lose_no_request_for_two_minutes_while_alternating_users_take_turns() {
    let world = roomy_world().await;
    no_request_fails(&world, world.alternating_users(), Duration::from_secs(120)).await;
}
