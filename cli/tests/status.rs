//! `rotatectl status` against the local world.

#![cfg(test)]

mod common;

use common::{
    call, called, change_password_by_hand, current, execute, inject_error, json_of, options_where,
    password, put, rotatectl, rotated, start, tag, version, world,
};
use local::{secrets_manager::labels::Promotion, world::World};
use serde_json::{Value, json};
use snapbox::str;

/// Its report about the secrets, as JSON.
async fn secrets_of(world: &World, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["status", "--json"], arguments].concat();
    let ran = rotatectl(world, &arguments).await.success();
    json_of(&ran)["secrets"].as_array().unwrap().clone()
}

/// Its report about this secret.
async fn status_of(world: &World, secret: &str) -> Value {
    let mut secrets = secrets_of(world, &[]).await.into_iter();
    secrets.find(|found| found["name"] == secret).unwrap()
}

#[tokio::test]
async fn a_rotation_in_progress_that_has_not_failed_is_shown_as_rotating() {
    let world = world().await;
    common::leave_over(&world, world.single_user(), 1).await;
    assert_eq!(
        status_of(&world, world.single_user()).await["state"],
        "rotating"
    );
}

#[tokio::test]
async fn status_lists_every_secret_that_rotates_and_no_other() {
    let world = world().await;
    rotatectl(&world, &["status", "--no-values"])
        .await
        .success()
        .stdout_eq(str![[r#"
SECRET                  STATE  AGE  EVERY  DUE     LAST ERROR
demo/orders/single      ok     [..]s   30d    in 30d  –
demo/stock/alternating  ok     [..]s   30d    in 30d  –

2 secrets: 2 ok

"#]])
        .stderr_eq("");
}

#[tokio::test]
async fn overdue_secrets_come_first_and_set_the_exit_code() {
    let world = world().await;
    let secret = world.alternating_users();
    world.secrets_manager().age(secret, 40).unwrap();
    rotatectl(&world, &["status", "--no-values"])
        .await
        .code(2)
        .stdout_eq(str![[r#"
SECRET                  STATE       AGE  EVERY  DUE     LAST ERROR
demo/stock/alternating  overdue 9d  40d  30d    9d ago  –
demo/orders/single      ok          [..]s   30d    in 30d  –

2 secrets: 1 overdue (demo/stock/alternating), 1 ok

"#]]);
}

#[tokio::test]
async fn a_stuck_rotation_is_shown_with_the_functions_last_error() {
    let world = world().await;
    let (secret, service) = (world.single_user(), world.secrets_manager());
    change_password_by_hand(&world).await;
    assert!(!service.rotate(secret).await.unwrap().succeeded);

    // before the time is over in which a rotation is not stuck
    let arguments = ["status", "--json", "--stuck-after", "15m"];
    let ran = rotatectl(&world, &arguments).await.code(2);
    let first = &json_of(&ran)["secrets"][0];
    assert_eq!(
        (&first["name"], &first["state"]),
        (&json!(secret), &json!("failing"))
    );

    service.age(secret, 3).unwrap();
    rotatectl(&world, &["status", "--no-values"])
        .await
        .code(2)
        .stdout_eq(str![[r#"
SECRET                  STATE     AGE  EVERY  DUE     LAST ERROR
demo/orders/single      stuck 3d  3d   30d    in 27d  NoVersionLogsIn
demo/stock/alternating  ok        [..]s   30d    in 30d  –

demo/orders/single: setSecret: none of AWSCURRENT, AWSPENDING and AWSPREVIOUS logs in as orders_[..] on localhost:[..], which rejects them: the credential was changed by hand; set one there (a role's with ALTER ROLE), store it with PutSecretValue, then rotate again

2 secrets: 1 stuck (demo/orders/single), 1 ok

"#]]);
}

#[tokio::test]
async fn awscurrent_shows_that_a_rotation_is_over_wherever_awspending_is() {
    for promotion in Promotion::ALL {
        let world = start(options_where(promotion)).await;
        let secret = world.single_user();
        rotated(&world, secret).await;
        let state = &status_of(&world, secret).await["state"];
        assert_eq!(state, "ok", "{promotion:?}");

        let back = json!({
            "SecretId": secret, "VersionStage": "AWSCURRENT",
            "MoveToVersionId": version(&world, secret, "AWSPREVIOUS").await,
            "RemoveFromVersionId": current(&world, secret).await,
        });
        call(&world, "UpdateSecretVersionStage", back).await;
        let state = &status_of(&world, secret).await["state"];
        let expected = match promotion {
            Promotion::KeepsPending => "rotating", // the label stayed behind
            _ => "ok",
        };
        assert_eq!(state, expected, "{promotion:?}");
        let rotate = ["rotate", secret, "--wait"];
        rotatectl(&world, &rotate).await.success();
        let state = &status_of(&world, secret).await["state"];
        assert_eq!(state, "ok", "{promotion:?}");
    }
}

#[tokio::test]
async fn an_error_before_a_successful_rotation_is_not_shown() {
    let world = world().await;
    let secret = world.single_user();
    change_password_by_hand(&world).await;
    let service = world.secrets_manager();
    let failed = service.rotate(secret).await.unwrap();
    let before = password(&world, secret, "AWSCURRENT").await;
    let sql = format!("ALTER ROLE {} PASSWORD '{before}'", world.role());
    execute(&world, &sql).await;
    let again = json!({ "SecretId": secret, "ClientRequestToken": failed.token });
    call(&world, "RotateSecret", again).await;
    assert!(service.rotation(secret, &failed.token).await.succeeded);

    assert_eq!(status_of(&world, secret).await["state"], "ok");
    // the next one is in progress: now the log is looked at
    common::leave_over(&world, secret, 0).await;
    let status = status_of(&world, secret).await;
    assert_eq!(
        (&status["state"], &status["last_error"]),
        (&json!("rotating"), &json!(null))
    );
}

#[tokio::test]
async fn the_values_show_strategies_and_open_overlaps_and_no_values_are_read_with_the_option() {
    let world = world().await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let before = called(&world, "GetSecretValue");

    rotatectl(&world, &["status", "--no-values"])
        .await
        .success();
    assert_eq!(called(&world, "BatchGetSecretValue"), 0);
    assert_eq!(called(&world, "GetSecretValue"), before);

    rotatectl(&world, &["status"])
        .await
        .success()
        .stdout_eq(str![[r#"
SECRET                  STATE  AGE  EVERY  DUE     STRATEGY           OVERLAP   LAST ERROR
demo/orders/single      ok     [..]s   30d    in 30d  single user        –         –
demo/stock/alternating  ok     [..]s   30d    in 30d  alternating users  23h left  –

2 secrets: 2 ok

"#]])
        .stderr_eq(str![[""]]);

    // revoked: there is nothing left that overlaps
    let arn = world.secrets_manager().arn(secret);
    let event = json!({ "Step": "revokeSecret", "SecretId": arn });
    world.function().invoke(event).await.outcome.unwrap();
    for secret in secrets_of(&world, &[]).await {
        assert_eq!(secret["overlap_until"], json!(null), "{secret}");
    }
}

#[tokio::test]
async fn an_api_key_is_shown_as_one_and_an_unknown_document_has_no_strategy() {
    let world = world().await;
    let service = world.secrets_manager();
    for (name, value) in [
        ("a/key", r#"{"engine":"http-api-key","key":"any"}"#),
        ("a/text", "no JSON"),
    ] {
        let create = json!({ "Name": name, "SecretString": value });
        call(&world, "CreateSecret", create).await;
        let function = world.function().arn();
        service.configure_rotation(name, &function, 30).unwrap();
    }
    assert_eq!(status_of(&world, "a/key").await["strategy"], "api key");
    assert_eq!(status_of(&world, "a/text").await["strategy"], json!(null));
}

#[tokio::test]
async fn without_the_right_to_read_values_the_rest_is_shown_with_a_note() {
    let world = world().await;
    let message = "User: someone is not authorized to perform this";
    let code = "AccessDeniedException";
    inject_error(&world, "BatchGetSecretValue", code, message);
    rotatectl(&world, &["status"])
        .await
        .success()
        .stdout_eq(str![[r#"
SECRET                  STATE  AGE  EVERY  DUE     STRATEGY  OVERLAP  LAST ERROR
demo/orders/single      ok     [..]s   30d    in 30d  ?         ?        –
demo/stock/alternating  ok     [..]s   30d    in 30d  ?         ?        –

2 secrets: 2 ok

"#]])
        .stderr_eq(str![[r#"
Note: secretsmanager:BatchGetSecretValue is denied (User: someone is not authorized to perform this): allow it for the principal that runs rotatectl

"#]]);
}

#[tokio::test]
async fn json_names_unknown_values_and_does_not_show_them_as_absent() {
    let world = world().await;
    let code = "AccessDeniedException";
    inject_error(&world, "BatchGetSecretValue", code, "not authorized");
    let secret = status_of(&world, world.single_user()).await;
    assert_eq!(secret["unknown"], json!(["strategy", "overlap_until"]));
    let secret = status_of(&world, world.single_user()).await;
    assert_eq!(secret["unknown"], json!([]));
}

#[tokio::test]
async fn names_and_patterns_narrow_the_list_and_an_absent_name_is_an_error() {
    let world = world().await;
    let names = async |arguments: &[&str]| -> Vec<Value> {
        let secrets = secrets_of(&world, arguments).await;
        secrets
            .iter()
            .map(|secret| secret["name"].clone())
            .collect()
    };
    assert_eq!(names(&["demo/orders/single"]).await, ["demo/orders/single"]);
    assert_eq!(names(&["*/stock/*"]).await, ["demo/stock/alternating"]);
    let arn = world.secrets_manager().arn("demo/orders/single").unwrap();
    assert_eq!(names(&[&arn, "demo/s*"]).await.len(), 2);
    for (name, said) in [
        (
            "demo/order/single",
            "rotatectl: no secret \"demo/order/single\" in us-east-1 (account 123456789012); did you mean \"demo/orders/single\"?\n",
        ),
        (
            "nobody/*",
            "rotatectl: no secret matches \"nobody/*\": see rotatectl status, and check --region and --profile\n",
        ),
    ] {
        let ran = rotatectl(&world, &["status", name]).await;
        ran.code(1).stdout_eq("").stderr_eq(said);
    }
}

#[tokio::test]
async fn with_json_an_error_is_a_json_object_with_a_code() {
    let world = world().await;
    let ran = rotatectl(&world, &["status", "--json", "demo/order/single"]).await;
    assert_eq!(json_of(&ran.code(1))["error"]["code"], "no_secret");
    inject_error(&world, "ListSecrets", "AccessDeniedException", "no");
    let ran = rotatectl(&world, &["audit", "--json"]).await;
    assert_eq!(json_of(&ran.code(1))["error"]["code"], "denied");
}

#[tokio::test]
async fn the_error_of_every_command_begins_with_the_absent_name() {
    let world = world().await;
    for command in ["rotate", "revoke", "rollback", "compromised", "doctor"] {
        let ran = rotatectl(&world, &[command, "demo/order/single"]).await;
        let output = ran.get_output();
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        let all = String::from_utf8_lossy(&all).into_owned();
        let named = "no secret \"demo/order/single\" in us-east-1 (account 123456789012)";
        assert!(all.contains(named), "{command}: {all}");
        assert!(
            all.contains("did you mean \"demo/orders/single\"?"),
            "{command}: {all}"
        );
    }
}

#[tokio::test]
async fn overdue_and_failing_narrow_the_list_to_what_needs_attention() {
    let world = world().await;
    let (late, failing) = (world.alternating_users(), world.single_user());
    world.secrets_manager().age(late, 40).unwrap();
    let names = async |arguments: &[&str], code| -> Vec<Value> {
        let arguments = [&["status", "--json"], arguments].concat();
        let ran = rotatectl(&world, &arguments).await.code(code);
        let secrets = json_of(&ran)["secrets"].as_array().unwrap().clone();
        secrets
            .iter()
            .map(|secret| secret["name"].clone())
            .collect()
    };
    assert!(names(&["--failing"], 0).await.is_empty());
    assert_eq!(names(&["--overdue"], 2).await, [late]);
    change_password_by_hand(&world).await;
    let rotated = world.secrets_manager().rotate(failing).await;
    assert!(!rotated.unwrap().succeeded);
    assert_eq!(names(&["--failing"], 2).await, [failing]);
    assert_eq!(names(&["--failing", "--overdue"], 2).await, [failing, late]);
}

#[tokio::test]
async fn several_tags_narrow_the_list_to_secrets_with_all_of_them() {
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
    let names = async |tags: &[&str]| -> Vec<Value> {
        let tags: Vec<&str> = tags.iter().flat_map(|tag| ["--tag", tag]).collect();
        let secrets = secrets_of(&world, &tags).await;
        secrets
            .iter()
            .map(|secret| secret["name"].clone())
            .collect()
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
    rotated(&world, secret).await;
    world.secrets_manager().age(secret, 45).unwrap();
    put(&world, secret, &json!({})).await;

    let secrets = secrets_of(&world, &[]).await;
    assert!(
        secrets.iter().all(|secret| secret["state"] == "ok"),
        "{secrets:?}"
    );
}
