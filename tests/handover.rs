//! The promise: a password changes, and no request fails.
//!
//! The real function rotates beside an application whose workers open connections or take them from a pool, each kind
//! at once. The first request that fails fails the test.

#![cfg(test)]

mod common;

use std::time::{Duration, SystemTime};

use common::{LONG, current, rotate, until, workload, world};
use drill::application::{Access, Application, Connections, Version, Workload};
use local::world::World;

const ROTATIONS: usize = 5;

/// Rotates so many times while the application works; each time it waits until every worker uses the new version.
async fn no_request_fails(world: &World, secret: &str, ttl: Duration, listen: bool) {
    let access = Access::in_world(world, secret);
    let application = Application::start(&access, &workload(ttl, listen)).await;
    let application = application.unwrap();
    let first = version(world, secret, SystemTime::UNIX_EPOCH).await;
    changed_over(&application, &first).await;
    for _ in 0..ROTATIONS {
        let begun = SystemTime::now();
        let rotation = rotate(world, secret).await;
        assert!(rotation.succeeded, "{rotation:?}");
        changed_over(&application, &version(world, secret, begun).await).await;
    }
    for summary in application.summaries() {
        assert!(summary.requests > ROTATIONS, "{summary:?}");
    }
}

/// Waits until every worker uses the version; a request that fails ends the wait.
async fn changed_over(application: &Application, version: &Version) {
    let since = SystemTime::now();
    let all_use = async || {
        assert_eq!(application.failures(), 0, "{:#?}", application.summaries());
        application.all_use(version, since)
    };
    until(&format!("{version:?} is used by all"), all_use).await;
    assert_eq!(application.failures(), 0, "{:#?}", application.summaries());
}

async fn version(world: &World, secret: &str, set: SystemTime) -> Version {
    let document = current(world, secret).await;
    let user = document["username"].as_str().unwrap().to_owned();
    Version { user, set }
}

#[tokio::test]
async fn a_session_is_dated_by_our_clock_and_not_by_the_databases() {
    let world = world().await;
    let secret = world.single_user();
    let workload = Workload {
        connections: vec![Connections::Deadpool],
        ..workload(LONG, false)
    };
    // our clock is an hour behind the database's
    let mut access = Access::in_world(&world, secret);
    access.database_ahead = 3_600_000_000;
    let application = Application::start(&access, &workload).await.unwrap();
    let half_an_hour_ago = SystemTime::now() - Duration::from_secs(1800);
    let an_hour_before_that = half_an_hour_ago - Duration::from_secs(3600);
    let before = version(&world, secret, an_hour_before_that).await;
    changed_over(&application, &before).await;
    let since_then = version(&world, secret, half_an_hour_ago).await;
    assert!(!application.all_use(&since_then, SystemTime::UNIX_EPOCH));
}

/// Without a notification, a client sees a change under alternating users after this time.
const TTL: Duration = Duration::from_millis(300);

#[tokio::test]
async fn no_request_fails_while_a_single_users_password_rotates() {
    let world = world().await;
    no_request_fails(&world, world.single_user(), LONG, false).await;
}

#[tokio::test]
async fn no_request_fails_while_a_single_users_password_rotates_with_notifications() {
    let world = world().await;
    no_request_fails(&world, world.single_user(), LONG, true).await;
}

#[tokio::test]
async fn no_request_fails_while_alternating_users_take_turns() {
    let world = world().await;
    no_request_fails(&world, world.alternating_users(), TTL, false).await;
}

#[tokio::test]
async fn no_request_fails_while_alternating_users_take_turns_with_notifications() {
    let world = world().await;
    no_request_fails(&world, world.alternating_users(), LONG, true).await;
}
