//! Which keys end, when, and which never.

use super::{assert_no_orphan, edit, error, key, service, world};
use crate::common::{self, TOKEN, call, outcome, rotate, stage, stage_up_to, version};
use local::{invocation::FunctionError, world::World};
use serde_json::{Value, json};

async fn revoke(world: &World) -> Result<Value, FunctionError> {
    common::revoke(world, world.api_key()).await
}

#[tokio::test]
async fn during_the_overlap_a_full_account_makes_no_new_key_and_a_revocation_makes_room() {
    let world = world("1h").await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert_no_orphan(&world, true, "the overlap lasts").await;

    let (error_type, message) = error(&rotate(&world, world.api_key()).await);
    assert_eq!(error_type, "TooManyKeys");
    assert!(
        message.contains("or end the key now with rotatectl revoke"),
        "{message}"
    );
    assert_no_orphan(&world, true, "after a rotation that failed").await;

    // it left AWSPENDING, and a revocation needs a finished rotation
    let left = version(&world, world.api_key(), "AWSPENDING").await;
    let input = json!({ "SecretId": world.api_key(), "VersionStage": "AWSPENDING", "RemoveFromVersionId": left });
    call(&world, "UpdateSecretVersionStage", input).await;
    let answer = revoke(&world).await.unwrap();
    assert_eq!(
        (&answer["outcome"], &answer["sessions"]),
        (&json!("revoked"), &json!(0))
    );
    assert_no_orphan(&world, false, "revoked").await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
}

#[tokio::test]
async fn during_the_overlap_the_previous_key_is_kept_where_there_is_room_for_three() {
    let world = world("1h").await;
    service(&world).set_limit(3);
    let by_hand = key(&world, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert!(service(&world).keys().contains(&by_hand));
    assert_eq!(service(&world).keys().len(), 3);
}

#[tokio::test]
async fn without_an_overlap_the_old_key_ends_with_finish_secret_and_never_before() {
    let world = world("0s").await;
    let old = key(&world, "AWSCURRENT").await.unwrap();
    stage(&world, world.api_key());
    for step in ["createSecret", "setSecret", "testSecret"] {
        outcome(&world, world.api_key(), step).await;
        assert!(service(&world).keys().contains(&old), "{step}");
    }
    outcome(&world, world.api_key(), "finishSecret").await;
    assert_no_orphan(&world, false, "without an overlap").await;
}

#[tokio::test]
async fn the_overlap_of_a_document_overrides_the_functions() {
    let world = world("1h").await;
    edit(&world, |document| document["overlap"] = json!("0s")).await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert_no_orphan(&world, false, "without an overlap").await;
}

#[tokio::test]
async fn a_key_of_an_abandoned_rotation_is_deleted_first_and_foreign_keys_stay() {
    let world = world("unbounded").await;
    service(&world).set_limit(9);
    service(&world).add("reporting", "made by hand, too");
    stage_up_to(&world, world.api_key(), "setSecret").await;
    let abandoned = key(&world, "AWSPENDING").await.unwrap();
    // a manual write in the middle of the rotation
    edit(&world, |document| document["note"] = json!("by hand")).await;
    assert!(service(&world).keys().contains(&abandoned));
    let input = json!({ "SecretId": world.api_key(), "VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN });
    // the manual write may have taken the label off already
    let _ = world
        .secrets_manager()
        .call("UpdateSecretVersionStage", input)
        .await;

    assert!(rotate(&world, world.api_key()).await.succeeded);
    let keys = service(&world).keys();
    assert!(!keys.contains(&abandoned), "{keys:?}");
    assert!(keys.contains(&"reporting".to_owned()), "{keys:?}");
    assert_eq!(keys.len(), 3, "{keys:?}");
}

#[tokio::test]
async fn a_key_that_was_deleted_by_hand_is_replaced() {
    let world = world("1h").await;
    let deleted = key(&world, "AWSCURRENT").await.unwrap();
    service(&world).delete(&deleted);
    let rotation = rotate(&world, world.api_key()).await;
    assert!(rotation.succeeded, "{rotation:?}");
    assert_no_orphan(&world, false, "replaced").await;
    // the key is gone already when the function deletes it
    edit(&world, |document| document["overlap"] = json!("0s")).await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert_eq!(service(&world).keys().len(), 1);
}

#[tokio::test]
async fn a_delete_request_for_another_key_is_detected() {
    let world = world("unbounded").await;
    edit(&world, |document| {
        let url = document["delete"]["url"]
            .as_str()
            .unwrap()
            .replace("{key_id}", "elsewhere/{key_id}");
        document["delete"]["url"] = url.into();
    })
    .await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    let (error_type, message) = error(&rotate(&world, world.api_key()).await);
    assert_eq!(error_type, "KeyStillAccepted", "{message}");
    assert!(
        message.contains("correct the secret's delete request"),
        "{message}"
    );
}

#[tokio::test]
async fn a_revocation_ends_the_previous_key_at_once_and_changes_nothing_if_there_is_none() {
    let world = world("1h").await;
    assert_eq!(
        revoke(&world).await.unwrap()["outcome"],
        "nothing to revoke"
    );
    assert!(rotate(&world, world.api_key()).await.succeeded);
    assert_eq!(revoke(&world).await.unwrap()["outcome"], "revoked");
    assert_no_orphan(&world, false, "revoked").await;
    assert_eq!(revoke(&world).await.unwrap()["outcome"], "revoked", "again");
}

#[tokio::test]
async fn if_awsprevious_holds_the_current_key_there_is_nothing_to_revoke() {
    let world = world("1h").await;
    let same = common::current(&world, world.api_key()).await;
    common::put(&world, world.api_key(), same).await;
    assert_eq!(
        revoke(&world).await.unwrap()["outcome"],
        "nothing to revoke"
    );
    assert_no_orphan(&world, false, "nothing was deleted").await;
}
