//! Somebody changes the password by hand while the application works.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use std::time::{Duration, SystemTime};

use common::{document_with, labels, rotate, world};
use drill::application::{Access, Application, Cache, Connections, Version, Workload};
use local::world::World;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

const LONG: Duration = Duration::from_secs(600);

async fn application(world: &World) -> Application {
    let workload = Workload {
        connections: Connections::ALL.to_vec(),
        workers: 2,
        pause: Duration::from_millis(20),
        span: Duration::from_secs(1),
        cache: Cache::Rotating {
            ttl: LONG,
            listen: false,
        },
    };
    let access = Access::in_world(world, world.single_user());
    Application::start(&access, &workload).await.unwrap()
}

async fn all_work(world: &World, application: &Application, set: SystemTime) {
    let version = Version {
        user: world.role().to_owned(),
        set,
    };
    let (since, deadline) = (SystemTime::now(), Instant::now() + Duration::from_secs(30));
    while !application.all_use(&version, since) {
        assert!(Instant::now() < deadline, "{:#?}", application.summaries());
        sleep_until(Instant::now() + Duration::from_millis(10)).await;
    }
}

async fn alter(world: &World, password: &str) {
    let role = world.role();
    world
        .postgres()
        .execute(&format!("ALTER ROLE {role} PASSWORD '{password}'"))
        .await
        .unwrap();
}

/// In the order that rotations have: stored, set, promoted.
#[tokio::test]
async fn stored_as_awspending_then_set_then_promoted_no_request_fails() {
    let world = world().await;
    let (id, service) = (world.single_user(), world.secrets_manager());
    let application = application(&world).await;
    all_work(&world, &application, SystemTime::UNIX_EPOCH).await;
    for round in 0..3 {
        let begun = SystemTime::now();
        let password = format!("by-hand-{round}");
        let document = document_with(&world, "password", json!(password)).await;
        let input =
            json!({ "SecretId": id, "SecretString": document, "VersionStages": ["AWSPENDING"] });
        let pending = service.call("PutSecretValue", input).await.unwrap()["VersionId"].clone();
        alter(&world, &password).await;
        // it is not promoted before all have found it
        all_work(&world, &application, begun).await;
        let current = labels(&world, id)
            .await
            .into_iter()
            .find(|(_, labels)| labels.iter().any(|label| label == "AWSCURRENT"));
        let input = json!({
            "SecretId": id, "VersionStage": "AWSCURRENT", "MoveToVersionId": pending, "RemoveFromVersionId": current.unwrap().0,
        });
        service
            .call("UpdateSecretVersionStage", input)
            .await
            .unwrap();
        all_work(&world, &application, begun).await;
    }
    // and the function goes on from there
    let begun = SystemTime::now();
    assert!(rotate(&world, id).await.succeeded);
    all_work(&world, &application, begun).await;
    assert_eq!(application.failures(), 0, "{:#?}", application.summaries());
}

/// In the wrong order, which leaves a while in which nothing logs in.
#[tokio::test]
async fn set_first_and_stored_later_requests_fail_in_between_and_none_after() {
    let world = world().await;
    let (id, service) = (world.single_user(), world.secrets_manager());
    let application = application(&world).await;
    all_work(&world, &application, SystemTime::UNIX_EPOCH).await;
    let begun = SystemTime::now();
    alter(&world, "by-hand").await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while application.failures() == 0 {
        assert!(Instant::now() < deadline, "nobody noticed");
        sleep_until(Instant::now() + Duration::from_millis(10)).await;
    }
    let failure = application
        .summaries()
        .into_iter()
        .find_map(|summary| summary.first_failure)
        .unwrap();
    assert!(
        failure.contains("password authentication failed"),
        "{failure}"
    );
    let document = document_with(&world, "password", json!("by-hand")).await;
    let input = json!({ "SecretId": id, "SecretString": document });
    service.call("PutSecretValue", input).await.unwrap();
    all_work(&world, &application, begun).await;
    let failures = application.failures();
    all_work(&world, &application, begun).await;
    assert_eq!(
        application.failures(),
        failures,
        "{:#?}",
        application.summaries()
    );
}
