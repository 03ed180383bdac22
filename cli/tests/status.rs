//! `rotatectl status` against the local world.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{change_password_by_hand, json_of, rotatectl, tag, world};
use local::secrets_manager::{Behavior, Fault, ServiceError};
use serde_json::json;
use snapbox::str;

#[tokio::test]
async fn every_secret_that_rotates_is_told_of_and_others_are_not() {
    let world = world().await;
    rotatectl(&world, &["status", "--no-values"])
        .await
        .success()
        .stdout_eq(str![[r#"
SECRET                  STATE  AGE  EVERY  DUE     LAST ERROR
demo/orders/single      ok     [..]s   30d    in 30d  –
demo/stock/alternating  ok     [..]s   30d    in 30d  –

"#]])
        .stderr_eq("");
}

#[tokio::test]
async fn what_is_overdue_comes_first_and_the_exit_code_says_so() {
    let world = world().await;
    world
        .secrets_manager()
        .age(world.alternating_users(), 40)
        .unwrap();
    rotatectl(&world, &["status", "--no-values"])
        .await
        .code(2)
        .stdout_eq(str![[r#"
SECRET                  STATE       AGE  EVERY  DUE     LAST ERROR
demo/stock/alternating  overdue 9d  40d  30d    9d ago  –
demo/orders/single      ok          [..]s   30d    in 30d  –

"#]]);
}

#[tokio::test]
async fn a_rotation_that_is_stuck_is_told_of_with_the_functions_last_error() {
    let world = world().await;
    change_password_by_hand(&world).await;
    assert!(
        !world
            .secrets_manager()
            .rotate(world.single_user())
            .await
            .unwrap()
            .succeeded
    );

    let ran = rotatectl(&world, &["status", "--json"]).await.success();
    assert_eq!(json_of(&ran)["secrets"][0]["state"], "rotating");

    world.secrets_manager().age(world.single_user(), 3).unwrap();
    rotatectl(&world, &["status", "--no-values"])
        .await
        .code(2)
        .stdout_eq(str![[r#"
SECRET                  STATE     AGE  EVERY  DUE     LAST ERROR
demo/orders/single      stuck 3d  3d   30d    in 27d  NoVersionLogsIn
demo/stock/alternating  ok        [..]s   30d    in 30d  –

demo/orders/single: setSecret: none of AWSCURRENT, AWSPENDING and AWSPREVIOUS logs in as orders_[..] on localhost:[..], which rejects them: the credential was changed by hand; set one there (a role's with ALTER ROLE), store it with PutSecretValue, then rotate again

"#]]);
}

#[tokio::test]
async fn an_error_that_a_later_rotation_overcame_is_history() {
    let world = world().await;
    let secret = world.single_user();
    change_password_by_hand(&world).await;
    let service = world.secrets_manager();
    let failed = service.rotate(secret).await.unwrap();
    let before = common::password(&world, secret, "AWSCURRENT").await;
    let sql = format!("ALTER ROLE {} PASSWORD '{before}'", world.role());
    world.postgres().execute(&sql).await.unwrap();
    let again = json!({ "SecretId": secret, "ClientRequestToken": failed.token });
    service.call("RotateSecret", again).await.unwrap();
    assert!(service.rotation(secret, &failed.token).await.succeeded);

    let shown = async || {
        let ran = rotatectl(&world, &["status", "--json"]).await.success();
        let told = json_of(&ran)["secrets"].as_array().unwrap().clone();
        told.into_iter()
            .find(|told| told["name"] == secret)
            .unwrap()
    };
    assert_eq!(shown().await["state"], "ok");
    // the next one is under way: now the log is looked at
    service
        .stage(secret, "00000000-0000-4000-8000-000000000001")
        .unwrap();
    let told = shown().await;
    assert_eq!(
        (&told["state"], &told["last_error"]),
        (&json!("rotating"), &json!(null))
    );
}

#[tokio::test]
async fn the_values_tell_strategies_and_open_overlaps_and_are_not_read_where_that_is_not_wanted() {
    let world = world().await;
    assert!(
        world
            .secrets_manager()
            .rotate(world.alternating_users())
            .await
            .unwrap()
            .succeeded
    );
    let called = |operation: &str| {
        let calls = world.secrets_manager().calls();
        calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    };
    let before = called("GetSecretValue");

    rotatectl(&world, &["status", "--no-values"])
        .await
        .success();
    assert_eq!(
        (called("BatchGetSecretValue"), called("GetSecretValue")),
        (0, before)
    );

    rotatectl(&world, &["status"])
        .await
        .success()
        .stdout_eq(str![[r#"
SECRET                  STATE  AGE  EVERY  DUE     STRATEGY           OVERLAP   LAST ERROR
demo/orders/single      ok     [..]s   30d    in 30d  single user        –         –
demo/stock/alternating  ok     [..]s   30d    in 30d  alternating users  23h left  –

"#]])
        .stderr_eq(str![[""]]);

    // revoked: there is nothing left that overlaps
    let event = json!({
        "Step": "revokeSecret", "SecretId": world.secrets_manager().arn(world.alternating_users()),
    });
    world.function().invoke(event).await.outcome.unwrap();
    let ran = rotatectl(&world, &["status", "--json"]).await.success();
    for secret in json_of(&ran)["secrets"].as_array().unwrap() {
        assert_eq!(secret["overlap_until"], json!(null), "{secret}");
    }
}

#[tokio::test]
async fn an_api_key_is_told_as_one_and_what_is_no_document_of_ours_is_left_open() {
    let world = world().await;
    let service = world.secrets_manager();
    for (name, value) in [
        ("a/key", r#"{"engine":"http-api-key","key":"any"}"#),
        ("a/text", "no JSON"),
    ] {
        let create = json!({ "Name": name, "SecretString": value });
        service.call("CreateSecret", create).await.unwrap();
        service
            .configure_rotation(name, &world.function().arn(), 30)
            .unwrap();
    }
    let ran = rotatectl(&world, &["status", "--json"]).await;
    let report = json_of(&ran.success());
    let strategy = |name: &str| {
        let secrets = report["secrets"].as_array().unwrap();
        secrets
            .iter()
            .find(|secret| secret["name"] == name)
            .unwrap()["strategy"]
            .clone()
    };
    assert_eq!(strategy("a/key"), "api key");
    assert_eq!(strategy("a/text"), json!(null));
}

#[tokio::test]
async fn without_the_right_to_read_values_the_rest_is_told_with_a_note() {
    let world = world().await;
    let denied = ServiceError {
        code: "AccessDeniedException".to_owned(),
        message: "User: somebody is not authorized to perform this".to_owned(),
        status: 400,
    };
    let fault = Fault::on("BatchGetSecretValue", Behavior::Error(denied));
    world.secrets_manager().inject(fault);
    rotatectl(&world, &["status"])
        .await
        .success()
        .stdout_eq(str![[r#"
SECRET                  STATE  AGE  EVERY  DUE     STRATEGY  OVERLAP  LAST ERROR
demo/orders/single      ok     [..]s   30d    in 30d  –         –        –
demo/stock/alternating  ok     [..]s   30d    in 30d  –         –        –

"#]])
        .stderr_eq(str![[r#"
Note: secretsmanager:BatchGetSecretValue is denied (User: somebody is not authorized to perform this): allow it to whoever runs rotatectl

"#]]);
}

#[tokio::test]
async fn tags_narrow_the_list_and_all_of_them_must_be_there() {
    let world = world().await;
    let [single, alternating] = [world.single_user(), world.alternating_users()];
    // keys and values crosswise, which the service's own filters do not keep apart
    for (secret, key, value) in [
        (single, "team", "orders"),
        (single, "stage", "test"),
        (alternating, "team", "test"),
        (alternating, "stage", "orders"),
    ] {
        tag(&world, secret, key, value).await;
    }
    let names = async |tags: &[&str]| {
        let tags = tags.iter().flat_map(|tag| ["--tag", tag]);
        let arguments: Vec<&str> = ["status", "--json"].into_iter().chain(tags).collect();
        let ran = rotatectl(&world, &arguments).await.success();
        let told = json_of(&ran)["secrets"].as_array().unwrap().clone();
        told.iter()
            .map(|told| told["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["team=orders"]).await, [single]);
    assert_eq!(names(&["team=orders", "stage=test"]).await, [single]);
    assert!(names(&["team=orders", "stage=orders"]).await.is_empty());
    assert!(names(&["team=ord"]).await.is_empty());
}

#[tokio::test]
async fn a_value_put_by_hand_makes_awscurrent_younger_than_its_last_rotation() {
    let world = world().await;
    let secret = world.single_user();
    assert!(
        world
            .secrets_manager()
            .rotate(secret)
            .await
            .unwrap()
            .succeeded
    );
    world.secrets_manager().age(secret, 45).unwrap();
    let put = json!({ "SecretId": secret, "SecretString": "{}" });
    world
        .secrets_manager()
        .call("PutSecretValue", put)
        .await
        .unwrap();

    let ran = rotatectl(&world, &["status", "--json"]).await.success();
    let told = json_of(&ran)["secrets"].as_array().unwrap().clone();
    assert!(told.iter().all(|told| told["state"] == "ok"), "{told:?}");
}
