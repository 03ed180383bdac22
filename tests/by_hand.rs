//! An operator changes the password by hand while the application works.

#![cfg(test)]

mod common;

use std::time::SystemTime;

use common::{LONG, call, document_with, execute, put, rotate, until, version, workload, world};
use drill::application::{Access, Application, Version};
use local::world::World;
use serde_json::json;

async fn application(world: &World) -> Application {
    let access = Access::in_world(world, world.single_user());
    let application = Application::start(&access, &workload(LONG, false)).await;
    application.unwrap()
}

async fn all_work(world: &World, application: &Application, set: SystemTime) {
    let version = Version {
        user: world.role().to_owned(),
        set,
    };
    let since = SystemTime::now();
    let all_use = async || application.all_use(&version, since);
    until("all use it", all_use).await;
}

async fn alter(world: &World, password: &str) {
    let role = world.role();
    execute(world, &format!("ALTER ROLE {role} PASSWORD '{password}'")).await;
}

/// In the order of a rotation: stored, set, promoted.
#[tokio::test]
async fn no_request_fails_if_a_new_password_is_stored_as_awspending_then_set_and_promoted() {
    let world = world().await;
    let id = world.single_user();
    let application = application(&world).await;
    all_work(&world, &application, SystemTime::UNIX_EPOCH).await;
    for round in 0..3 {
        let begun = SystemTime::now();
        let password = format!("by-hand-{round}");
        let document = document_with(&world, "password", json!(password)).await;
        let input =
            json!({ "SecretId": id, "SecretString": document, "VersionStages": ["AWSPENDING"] });
        let pending = call(&world, "PutSecretValue", input).await["VersionId"].clone();
        alter(&world, &password).await;
        // promoted only when all workers have found it
        all_work(&world, &application, begun).await;
        let current = version(&world, id, "AWSCURRENT").await;
        let input = json!({
            "SecretId": id, "VersionStage": "AWSCURRENT", "MoveToVersionId": pending, "RemoveFromVersionId": current,
        });
        call(&world, "UpdateSecretVersionStage", input).await;
        all_work(&world, &application, begun).await;
    }
    // the function rotates from there
    let begun = SystemTime::now();
    assert!(rotate(&world, id).await.succeeded);
    all_work(&world, &application, begun).await;
    assert_eq!(application.failures(), 0, "{:#?}", application.summaries());
}

/// In the wrong order: for a while no stored password logs in.
#[tokio::test]
async fn if_a_password_is_set_first_and_stored_later_requests_fail_only_in_between() {
    let world = world().await;
    let id = world.single_user();
    let application = application(&world).await;
    all_work(&world, &application, SystemTime::UNIX_EPOCH).await;
    let begun = SystemTime::now();
    alter(&world, "by-hand").await;
    until("a request fails", async || application.failures() > 0).await;
    let failure = application
        .summaries()
        .into_iter()
        .find_map(|summary| summary.first_failure)
        .unwrap();
    // a pool reports the server's error; a task that waited for another version, the client's
    let rejected = [
        "password authentication failed",
        "the server rejects every version",
    ];
    assert!(
        rejected.iter().any(|words| failure.contains(words)),
        "{failure}"
    );
    let document = document_with(&world, "password", json!("by-hand")).await;
    put(&world, id, document).await;
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
