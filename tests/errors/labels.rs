//! Staging labels that forbid a step.

use super::*;

#[tokio::test]
async fn a_secret_that_is_not_enabled_for_rotation_is_refused() {
    let world = world().await;
    let document = document_with(&world, "x", json!(1)).await;
    let input = json!({ "Name": "demo/still", "SecretString": document });
    call(&world, "CreateSecret", input).await;
    for step in ["createSecret", "finishSecret"] {
        let error = fails(&world, "demo/still", step).await;
        assert_error(&error, "RotationNotEnabled", "RotateSecret");
    }
}

#[tokio::test]
async fn a_token_that_is_no_version_is_refused() {
    let world = world().await;
    for step in common::STEPS {
        let error = fails(&world, world.single_user(), step).await;
        assert_error(&error, "TokenUnknown", "start rotations with RotateSecret");
    }
}

#[tokio::test]
async fn a_token_that_is_not_staged_as_awspending_is_refused() {
    let world = world().await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    // the rotation is abandoned: a custom label keeps the version, and AWSPENDING is removed
    for input in [
        json!({ "SecretId": secret, "VersionStage": "KEPT", "MoveToVersionId": TOKEN }),
        json!({ "SecretId": secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN }),
    ] {
        call(&world, "UpdateSecretVersionStage", input).await;
    }
    for step in common::STEPS {
        let error = fails(&world, secret, step).await;
        assert_error(&error, "TokenNotStaged", "rotate again");
    }
}

#[tokio::test]
async fn a_secret_without_awscurrent_is_refused() {
    let world = world().await;
    call(&world, "CreateSecret", json!({ "Name": "demo/empty" })).await;
    stage(&world, "demo/empty");
    for step in ["createSecret", "setSecret", "finishSecret"] {
        let error = fails(&world, "demo/empty", step).await;
        assert_error(&error, "NoCurrentVersion", "PutSecretValue");
    }
}

#[tokio::test]
async fn a_step_before_createsecret_finds_no_value_and_the_error_says_which_step_comes_first() {
    let world = world().await;
    stage(&world, world.single_user());
    for step in ["setSecret", "testSecret"] {
        let error = fails(&world, world.single_user(), step).await;
        assert_error(&error, "NoPendingValue", "createSecret comes first");
    }
}
