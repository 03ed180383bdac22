//! The database tells the clients of a rotation: what finishSecret sends, and what `listen` makes of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use std::time::Duration;

use common::{TOKEN, invoke, outcome, rotate, stored, world};
use local::world::World;
use rotating_secret::{
    RotatingSecret,
    postgres::{channel, listen},
    provider::Aws,
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

/// Longer than any test: what is found in less was told.
const LONG: Duration = Duration::from_secs(600);

async fn secret(world: &World, id: &str) -> RotatingSecret {
    RotatingSecret::builder(id)
        .ttl(LONG)
        .build(Aws::from_clients([world.aws()]))
        .await
        .unwrap()
}

/// A secret that listens, once it does.
async fn listening(world: &World, id: &str) -> RotatingSecret {
    let secret = secret(world, id).await;
    listen(&secret, world.tls().unwrap()).unwrap();
    assert!(listeners(world, &secret, 1).await);
    secret
}

/// Waits until so many sessions of this world's secret listen. What listens is told by its last statement.
async fn listeners(world: &World, secret: &RotatingSecret, expected: i64) -> bool {
    let channel = channel(secret.current().unwrap().arn().unwrap());
    wait_for_listeners(world, &channel, expected).await
}

async fn wait_for_listeners(world: &World, channel: &str, expected: i64) -> bool {
    let superuser = world.postgres().superuser_client().await.unwrap();
    let question = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'idle'";
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let count: i64 = superuser
            .query_one(question, &[&format!("LISTEN {channel}")])
            .await
            .unwrap()
            .get(0);
        if count == expected {
            return true;
        }
    }
    false
}

async fn current(world: &World, id: &str) -> Value {
    serde_json::from_str(
        &stored(world.secrets_manager(), id, "AWSCURRENT")
            .await
            .unwrap(),
    )
    .unwrap()
}

fn reads(world: &World) -> usize {
    let calls = world.secrets_manager().calls();
    calls
        .iter()
        .filter(|call| call.operation == "GetSecretValue")
        .count()
}

/// Notifications stay within a database.
async fn in_the_applications_database(world: &World, id: &str) -> Client {
    let stored = current(world, id).await;
    let field = |name: &str| stored[name].as_str().unwrap().to_owned();
    let connected = world
        .postgres()
        .connect(&field("username"), &field("password"), world.dbname())
        .await;
    connected.unwrap()
}

async fn notify(anybody: &Client, channel: &str, payload: &str) {
    anybody
        .execute("SELECT pg_notify($1, $2)", &[&channel, &payload])
        .await
        .unwrap();
}

/// Has the rotation happen, and waits for the secret to be told of it.
async fn told_of(secret: &RotatingSecret, rotation: impl Future<Output = ()>) {
    let mut told = std::pin::pin!(secret.changed());
    // it has to wait before the change
    assert!(timeout(Duration::ZERO, &mut told).await.is_err());
    rotation.await;
    let told = timeout(Duration::from_secs(20), told).await;
    assert!(matches!(told, Ok(Ok(_))), "nobody told");
}

#[tokio::test]
async fn whoever_listens_has_the_new_version_long_before_its_lifetime_is_over() {
    let world = world().await;
    for id in [world.single_user(), world.alternating_users()] {
        let secret = listening(&world, id).await;
        for _ in 0..3 {
            told_of(&secret, async {
                assert!(rotate(&world, id).await.succeeded)
            })
            .await;
            let credential = secret.current().unwrap();
            let stored = current(&world, id).await;
            assert_eq!(credential.user(), stored["username"].as_str());
            // the listener's session becomes the new version's
            assert!(listeners(&world, &secret, 1).await);
        }
    }
}

/// The steps before finishSecret.
async fn up_to_test(world: &World, id: &str) {
    world.secrets_manager().stage(id, TOKEN).unwrap();
    for step in ["createSecret", "setSecret", "testSecret"] {
        invoke(world, id, step).await.outcome.unwrap();
    }
}

#[tokio::test]
async fn an_environment_that_kept_no_session_logs_in_to_tell() {
    let world = world().await;
    let id = world.single_user();
    let secret = listening(&world, id).await;
    up_to_test(&world, id).await;
    world.function().kill().await;
    told_of(&secret, async {
        assert_eq!(outcome(&world, id, "finishSecret").await, "promoted")
    })
    .await;
}

#[tokio::test]
async fn a_session_that_was_kept_and_has_been_ended_is_replaced_by_a_login() {
    let world = world().await;
    let id = world.single_user();
    let secret = listening(&world, id).await;
    up_to_test(&world, id).await;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}' AND application_name = 'secret-rotation'",
        world.role()
    );
    world.postgres().execute(&end).await.unwrap();
    told_of(&secret, async {
        assert_eq!(outcome(&world, id, "finishSecret").await, "promoted")
    })
    .await;
}

#[tokio::test]
async fn a_listener_whose_session_is_ended_listens_again() {
    let world = world().await;
    let id = world.alternating_users();
    let secret = listening(&world, id).await;
    let channel = channel(secret.current().unwrap().arn().unwrap());
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN {channel}'"
    );
    world.postgres().execute(&end).await.unwrap();
    assert!(wait_for_listeners(&world, &channel, 1).await);
    told_of(&secret, async {
        assert!(rotate(&world, id).await.succeeded)
    })
    .await;
}

#[tokio::test]
async fn what_was_told_while_nobody_listened_is_found_when_it_listens_again() {
    let world = world().await;
    let id = world.single_user();
    let secret = secret(&world, id).await;
    // the rotation is over before the listener begins
    assert!(rotate(&world, id).await.succeeded);
    let before = secret.current().unwrap().version().to_owned();
    listen(&secret, world.tls().unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while secret.current().unwrap().version() == before {
        assert!(Instant::now() < deadline, "it still has {before}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_flood_of_notifications_costs_no_more_than_one_fetch_a_second() {
    let world = world().await;
    let id = world.single_user();
    let secret = listening(&world, id).await;
    let channel = channel(secret.current().unwrap().arn().unwrap());
    let anybody = in_the_applications_database(&world, id).await;
    let (begun, before) = (Instant::now(), reads(&world));
    while begun.elapsed() < Duration::from_secs(3) {
        for number in 0..100 {
            notify(&anybody, &channel, &format!("forged {number}")).await;
        }
    }
    let fetches = reads(&world) - before;
    let allowed = begun.elapsed().as_secs() as usize + 2;
    assert!(
        (2..=allowed).contains(&fetches),
        "{fetches} fetches, {allowed} allowed"
    );
    assert_eq!(
        secret.current().unwrap().version(),
        secret.refresh().await.unwrap().version()
    );
}

#[tokio::test]
async fn a_notification_of_the_version_in_force_costs_nothing() {
    let world = world().await;
    let id = world.single_user();
    let secret = listening(&world, id).await;
    // what it asks for when it begins to listen
    let deadline = Instant::now() + Duration::from_secs(20);
    while reads(&world) < 2 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    let credential = secret.current().unwrap();
    let channel = channel(credential.arn().unwrap());
    let before = reads(&world);
    let anybody = in_the_applications_database(&world, id).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        notify(&anybody, &channel, credential.version()).await;
    }
    assert_eq!(reads(&world), before);
    told_of(&secret, async {
        assert!(rotate(&world, id).await.succeeded)
    })
    .await;
}

#[tokio::test]
async fn it_listens_no_more_when_the_last_handle_is_gone() {
    let world = world().await;
    let secret = listening(&world, world.single_user()).await;
    let channel = channel(secret.current().unwrap().arn().unwrap());
    drop(secret);
    assert!(wait_for_listeners(&world, &channel, 0).await);
}

#[tokio::test]
async fn without_an_arn_there_is_no_channel_and_that_is_said() {
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
