//! No key is deleted that a version with any label holds, even when reads lag.

use super::{edit, error, key, options, service, world};
use crate::common::{
    LONG, TOKEN, call, failure, outcome, revoke, rotate, stage, start, version, warm,
};
use local::{
    secrets_manager::{Behavior, Fault, Hang, When},
    world::World,
};
use serde_json::json;

async fn roomy(overlap: &str) -> World {
    let world = world(overlap).await;
    service(&world).set_limit(99);
    world
}

/// Moves a label to a version, or adds a new label to it.
async fn label(world: &World, label: &str, version: &str, from: Option<&str>) {
    let mut input =
        json!({ "SecretId": world.api_key(), "VersionStage": label, "MoveToVersionId": version });
    if let Some(from) = from {
        input["RemoveFromVersionId"] = from.into();
    }
    call(world, "UpdateSecretVersionStage", input).await;
}

/// The next reads of the secret answer as before its last change.
fn lag(world: &World, operation: &str, times: usize) {
    let fault = Fault::on(operation, Behavior::Lag).secret(world.api_key());
    world.secrets_manager().inject(fault.times(times));
}

#[tokio::test]
async fn a_key_of_a_version_with_a_custom_label_is_kept() {
    for overlap in ["0s", "unbounded"] {
        let world = roomy(overlap).await;
        assert!(rotate(&world, world.api_key()).await.succeeded);
        let pinned = key(&world, "AWSCURRENT").await.unwrap();
        label(
            &world,
            "REPORTING",
            &version(&world, world.api_key(), "AWSCURRENT").await,
            None,
        )
        .await;
        for rotation in 0..3 {
            assert!(rotate(&world, world.api_key()).await.succeeded);
            let keys = service(&world).keys();
            assert!(
                keys.contains(&pinned),
                "{overlap}, rotation {rotation}: {keys:?}"
            );
        }
        // only as long as it has the label
        let input = json!({ "SecretId": world.api_key(), "VersionStage": "REPORTING",
            "RemoveFromVersionId": version(&world, world.api_key(), "REPORTING").await });
        call(&world, "UpdateSecretVersionStage", input).await;
        assert!(rotate(&world, world.api_key()).await.succeeded);
        assert!(!service(&world).keys().contains(&pinned), "{overlap}");
    }
}

#[tokio::test]
async fn a_custom_label_costs_one_read_and_a_usual_rotation_none() {
    let calls = async |world: &World| {
        let before = world.secrets_manager().calls().len();
        assert!(rotate(world, world.api_key()).await.succeeded);
        world.secrets_manager().calls().len() - before
    };
    let world = start(warm(options("unbounded"))).await;
    service(&world).set_limit(99);
    assert!(rotate(&world, world.api_key()).await.succeeded);
    label(
        &world,
        "REPORTING",
        &version(&world, world.api_key(), "AWSPREVIOUS").await,
        None,
    )
    .await;
    assert_eq!(calls(&world).await, 11, "AWSPREVIOUS is read anyway");
    assert_eq!(calls(&world).await, 12);
}

#[tokio::test]
async fn no_key_is_deleted_while_a_version_cannot_be_read() {
    let world = roomy("unbounded").await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    let of_previous = key(&world, "AWSCURRENT").await.unwrap();
    // the version that becomes AWSPREVIOUS is damaged, and the next AWSCURRENT has another key
    let good = super::document(&world, "AWSCURRENT").await.unwrap();
    edit(&world, |document| *document = json!({ "damaged": true })).await;
    service(&world).add("by hand", "by hand");
    edit(&world, |document| {
        *document = good;
        document["key_id"] = "by hand".into();
    })
    .await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert!(service(&world).keys().contains(&of_previous));
}

#[tokio::test]
async fn a_lagging_read_of_awscurrent_is_detected_before_anything_is_deleted() {
    let world = roomy("unbounded").await;
    for _ in 0..2 {
        assert!(rotate(&world, world.api_key()).await.succeeded);
    }
    let (older, newer) = (
        version(&world, world.api_key(), "AWSPREVIOUS").await,
        version(&world, world.api_key(), "AWSCURRENT").await,
    );
    stage(&world, world.api_key());
    // rolled back by hand: a lagging read shows AWSPREVIOUS's key as the current one
    label(&world, "AWSCURRENT", &older, Some(&newer)).await;
    let before = service(&world).keys();
    // as often as the function reads it again
    lag(&world, "GetSecretValue", 3);
    let error = failure(&world, world.api_key(), "createSecret").await;
    assert_eq!(error.error_type, "ReadLagging", "{error}");
    assert_eq!(service(&world).keys(), before);
    // the retry goes on, also when the first read lags
    lag(&world, "GetSecretValue", 1);
    outcome(&world, world.api_key(), "createSecret").await;
    assert!(
        service(&world)
            .keys()
            .contains(&key(&world, "AWSCURRENT").await.unwrap())
    );
}

#[tokio::test]
async fn a_revocation_with_a_lagging_read_deletes_nothing() {
    let world = roomy("unbounded").await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    let (older, newer) = (
        version(&world, world.api_key(), "AWSPREVIOUS").await,
        version(&world, world.api_key(), "AWSCURRENT").await,
    );
    let input = json!({ "SecretId": world.api_key(), "VersionStage": "AWSPENDING", "RemoveFromVersionId": newer });
    call(&world, "UpdateSecretVersionStage", input).await;
    label(&world, "AWSCURRENT", &older, Some(&newer)).await;
    let before = service(&world).keys();
    lag(&world, "GetSecretValue", 2);
    let error = revoke(&world, world.api_key()).await.unwrap_err();
    assert_eq!(error.error_type, "ReadLagging", "{error}");
    assert_eq!(service(&world).keys(), before);
}

#[tokio::test]
async fn a_key_that_was_stored_just_now_is_not_deleted_to_make_room_if_the_first_read_lags() {
    let world = world("1h").await; // room for two
    stage(&world, world.api_key());
    outcome(&world, world.api_key(), "createSecret").await;
    let stored = key(&world, "AWSPENDING").await.unwrap();
    // AWSCURRENT, AWSPENDING and AWSPREVIOUS as before PutSecretValue, which changes AWSPENDING
    lag(&world, "GetSecretValue", 3);
    let said = outcome(&world, world.api_key(), "createSecret").await;
    assert_eq!(said, "already created");
    assert!(service(&world).keys().contains(&stored));
}

#[tokio::test]
async fn a_list_without_the_current_key_is_not_trusted() {
    let world = roomy("unbounded").await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    let good = super::document(&world, "AWSCURRENT").await.unwrap();
    // the ids in its answers differ from those in the versions
    edit(&world, |document| document["list"]["id"] = "/name".into()).await;
    let (error_type, message) = error(&rotate(&world, world.api_key()).await);
    assert_eq!(error_type, "KeyIdUnusable", "{message}");
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        assert!(
            service(&world)
                .keys()
                .contains(&key(&world, label).await.unwrap()),
            "{label}"
        );
    }
    edit(&world, |document| *document = good).await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
}

#[tokio::test]
async fn a_delayed_delivery_deletes_no_key_of_the_next_rotation() {
    let mut options = options("unbounded");
    options.function_timeout = LONG;
    let world = start(options).await;
    service(&world).set_limit(99);
    assert!(rotate(&world, world.api_key()).await.succeeded);
    stage(&world, world.api_key());
    let hang = Hang::default();
    let held_up = Behavior::Hang(When::BeforeEffect, hang.clone());
    service(&world).inject("GET /keys", held_up);
    let (error, ()) = tokio::join!(failure(&world, world.api_key(), "createSecret"), async {
        hang.reached().await;
        // it has read the versions; it stops, and another rotation finishes
        let input = json!({ "SecretId": world.api_key(), "VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN });
        call(&world, "UpdateSecretVersionStage", input).await;
        assert!(rotate(&world, world.api_key()).await.succeeded);
        hang.release();
    });
    // the result depends on whether the service keeps the token's version without a label
    let overtaken = ["TokenNotStaged", "TokenUnknown"];
    assert!(overtaken.contains(&error.error_type.as_str()), "{error}");
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        let held = key(&world, label).await.unwrap();
        assert!(service(&world).keys().contains(&held), "{label}");
    }
}
