//! The database notifies the clients of a rotation: what finishSecret sends, and what `listen` does with it.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::{
    LONG, ask, calls, current, execute, log_in, outcome, rotate, stage_up_to, until, warm_world,
    world,
};
use local::world::World;
use rotating_secret::{
    RotatingSecret,
    postgres::{channel, listen},
    provider::Aws,
};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

/// A hanging test says less than a failing one.
const PATIENCE: Duration = Duration::from_secs(60);

async fn secret(world: &World, id: &str) -> RotatingSecret {
    RotatingSecret::builder(id)
        .ttl(LONG)
        .build(Aws::from_clients([world.aws()]))
        .await
        .unwrap()
}

/// A secret that listens and has caught up with earlier changes, and its channel.
async fn listening(world: &World, id: &str) -> (RotatingSecret, String) {
    let secret = secret(world, id).await;
    let before = reads(world);
    listen(&secret, world.tls().unwrap()).unwrap();
    let channel = channel(secret.current().unwrap().arn().unwrap());
    listeners(world, &channel, 1).await;
    until("it has looked", async || reads(world) > before).await;
    (secret, channel)
}

/// Waits until so many sessions listen: their last statement is LISTEN.
async fn listeners(world: &World, channel: &str, expected: i64) {
    let question = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN {channel}' AND state = 'idle'"
    );
    let listen = async || ask::<i64>(world, &question).await == expected;
    until("so many listen", listen).await;
}

fn reads(world: &World) -> usize {
    calls(world, "GetSecretValue")
}

/// A session of the application: a notification reaches only sessions of the same database.
async fn anybody(world: &World, id: &str) -> Client {
    let current = current(world, id).await;
    log_in(world, &current).await.unwrap()
}

async fn notify(anybody: &Client, channel: &str, payload: &str) {
    let sql = "SELECT pg_notify($1, $2)";
    let sent = anybody.execute(sql, &[&channel, &payload]).await;
    sent.unwrap();
}

/// Rotates, and waits until the secret is notified.
async fn is_notified(secret: &RotatingSecret, rotation: impl Future<Output = ()>) {
    let mut changed = std::pin::pin!(secret.changed());
    // before the change it must wait
    assert!(timeout(Duration::ZERO, &mut changed).await.is_err());
    rotation.await;
    let changed = timeout(PATIENCE, changed).await;
    assert!(matches!(changed, Ok(Ok(_))), "no notification");
}

#[tokio::test]
async fn a_listener_has_the_new_version_long_before_its_lifetime_is_over() {
    let world = warm_world().await; // which notifies on the session that testSecret kept
    for id in [world.single_user(), world.alternating_users()] {
        let (secret, channel) = listening(&world, id).await;
        for _ in 0..3 {
            is_notified(&secret, async {
                assert!(rotate(&world, id).await.succeeded)
            })
            .await;
            let credential = secret.current().unwrap();
            let stored = current(&world, id).await;
            assert_eq!(credential.user(), stored["username"].as_str());
            // the listener's session becomes the new version's
            listeners(&world, &channel, 1).await;
        }
    }
}

#[tokio::test]
async fn an_environment_without_a_kept_session_logs_in_to_notify() {
    let world = world().await;
    let id = world.single_user();
    let (secret, _) = listening(&world, id).await;
    stage_up_to(&world, id, "finishSecret").await;
    is_notified(&secret, async {
        assert_eq!(outcome(&world, id, "finishSecret").await, "promoted")
    })
    .await;
}

#[tokio::test]
async fn a_kept_session_that_was_ended_is_replaced_by_a_login() {
    let world = warm_world().await;
    let id = world.single_user();
    let (secret, _) = listening(&world, id).await;
    stage_up_to(&world, id, "finishSecret").await;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}' AND application_name = 'secret-rotation'",
        world.role()
    );
    execute(&world, &end).await;
    is_notified(&secret, async {
        assert_eq!(outcome(&world, id, "finishSecret").await, "promoted")
    })
    .await;
}

#[tokio::test]
async fn a_listener_whose_session_is_ended_listens_again() {
    let world = world().await;
    let id = world.alternating_users();
    let (secret, channel) = listening(&world, id).await;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN {channel}'"
    );
    execute(&world, &end).await;
    listeners(&world, &channel, 1).await;
    is_notified(&secret, async {
        assert!(rotate(&world, id).await.succeeded)
    })
    .await;
}

#[tokio::test]
async fn a_listener_that_is_ended_repeatedly_logs_in_less_and_less_often() {
    let world = world().await;
    let id = world.single_user();
    let (_secret, channel) = listening(&world, id).await;
    let end = format!(
        "SELECT coalesce(max(pid) FILTER (WHERE pg_terminate_backend(pid)), 0)::bigint FROM pg_stat_activity \
         WHERE query = 'LISTEN {channel}'"
    );
    // by its pid: a session that ends stays visible for a moment
    let (begun, mut ended) = (Instant::now(), std::collections::HashSet::new());
    while begun.elapsed() < Duration::from_secs(5) {
        ended.insert(ask::<i64>(&world, &end).await);
    }
    ended.remove(&0);
    let ended = ended.len();
    // after 0.1 s, 0.2 s, 0.4 s, …: each with a random addition of up to the same time
    assert!(ended <= 8, "{ended} logins in 5 s");
}

#[tokio::test]
async fn a_listener_that_listens_again_fetches_what_it_may_have_missed() {
    let world = world().await;
    let id = world.single_user();
    let secret = secret(&world, id).await;
    // the rotation is over before the listener begins
    assert!(rotate(&world, id).await.succeeded);
    let before = secret.current().unwrap().version().to_owned();
    listen(&secret, world.tls().unwrap()).unwrap();
    let found = async || secret.current().unwrap().version() != before;
    until("it has found it", found).await;
}

#[tokio::test]
async fn a_flood_of_notifications_costs_no_more_than_one_fetch_a_second() {
    let world = world().await;
    let id = world.single_user();
    let (secret, channel) = listening(&world, id).await;
    let anybody = anybody(&world, id).await;
    let (begun, before) = (Instant::now(), reads(&world));
    let mut fetches = 0;
    while fetches < 4 {
        for number in 0..100 {
            notify(&anybody, &channel, &format!("forged {number}")).await;
        }
        fetches = reads(&world) - before;
        let allowed = begun.elapsed().as_secs() as usize + 2;
        assert!(fetches <= allowed, "{fetches} fetches, {allowed} allowed");
        assert!(begun.elapsed() < PATIENCE, "{fetches} fetches");
    }
    assert_eq!(
        secret.current().unwrap().version(),
        secret.refresh().await.unwrap().version()
    );
}

#[tokio::test]
async fn a_notification_of_the_current_version_causes_no_fetch() {
    let world = world().await;
    let id = world.single_user();
    let (secret, channel) = listening(&world, id).await;
    let anybody = anybody(&world, id).await;
    let before = reads(&world);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        notify(&anybody, &channel, secret.current().unwrap().version()).await;
    }
    assert_eq!(reads(&world), before);
    is_notified(&secret, async {
        assert!(rotate(&world, id).await.succeeded)
    })
    .await;
}

#[tokio::test]
async fn it_stops_listening_when_the_last_handle_is_dropped() {
    let world = world().await;
    let (secret, channel) = listening(&world, world.single_user()).await;
    drop(secret);
    listeners(&world, &channel, 0).await;
}

#[tokio::test]
async fn without_an_arn_there_is_no_channel_and_the_log_says_so() {
    use rotating_secret::provider::{Fixed, Version};
    let world = world().await;
    let provider = Fixed::new().with("orders/db", Version::text("v1", json!({}).to_string()));
    let secret = RotatingSecret::builder("orders/db")
        .build(provider)
        .await
        .unwrap();
    let error = listen(&secret, world.tls().unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("orders/db") && error.contains("ttl"),
        "{error}"
    );
}
