//! Staging labels that forbid a step.

use super::*;

#[tokio::test]
async fn a_secret_that_is_not_enabled_for_rotation_is_refused() {
    let world = world().await;
    let input =
        json!({ "Name": "demo/still", "SecretString": document_with(&world, "x", json!(1)).await });
    world
        .secrets_manager()
        .call("CreateSecret", input)
        .await
        .unwrap();
    assert_fails(
        &world,
        "demo/still",
        "createSecret",
        "RotationNotEnabled",
        "RotateSecret",
    )
    .await;
    assert_fails(
        &world,
        "demo/still",
        "finishSecret",
        "RotationNotEnabled",
        "RotateSecret",
    )
    .await;
}

#[tokio::test]
async fn a_token_that_is_no_version_is_refused() {
    let world = world().await;
    for step in common::STEPS {
        assert_fails(
            &world,
            world.single_user(),
            step,
            "TokenUnknown",
            "start rotations with RotateSecret",
        )
        .await;
    }
}

#[tokio::test]
async fn a_token_that_is_not_staged_as_awspending_is_refused() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(&world, secret, "createSecret").await;
    // the rotation is abandoned: a label of one's own keeps the version, and AWSPENDING goes
    for input in [
        json!({ "SecretId": secret, "VersionStage": "KEPT", "MoveToVersionId": TOKEN }),
        json!({ "SecretId": secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN }),
    ] {
        world
            .secrets_manager()
            .call("UpdateSecretVersionStage", input)
            .await
            .unwrap();
    }
    for step in common::STEPS {
        assert_fails(&world, secret, step, "TokenNotStaged", "rotate again").await;
    }
}

#[tokio::test]
async fn a_secret_without_awscurrent_is_refused() {
    let world = world().await;
    world
        .secrets_manager()
        .call("CreateSecret", json!({ "Name": "demo/empty" }))
        .await
        .unwrap();
    world.secrets_manager().stage("demo/empty", TOKEN).unwrap();
    for step in ["createSecret", "setSecret", "finishSecret"] {
        assert_fails(
            &world,
            "demo/empty",
            step,
            "NoCurrentVersion",
            "PutSecretValue",
        )
        .await;
    }
}

#[tokio::test]
async fn a_step_before_createsecret_finds_no_value_and_says_which_step_comes_first() {
    let world = world().await;
    world
        .secrets_manager()
        .stage(world.single_user(), TOKEN)
        .unwrap();
    for step in ["setSecret", "testSecret"] {
        assert_fails(
            &world,
            world.single_user(),
            step,
            "NoPendingValue",
            "createSecret comes first",
        )
        .await;
    }
}
