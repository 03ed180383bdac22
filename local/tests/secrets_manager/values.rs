use aws_sdk_secretsmanager::primitives::Blob;
use serde_json::json;

use super::{common::post, refused, serve_without_function, token, value};

#[tokio::test]
async fn a_secret_is_found_by_name_by_arn_and_by_arn_without_its_suffix() {
    let world = serve_without_function().await;
    world.create("demo/orders", "one").await;
    let arn = world.service.arn("demo/orders").unwrap();
    assert!(
        arn.starts_with("arn:aws:secretsmanager:eu-central-1:123456789012:secret:demo/orders-"),
        "{arn}"
    );
    for id in ["demo/orders", &arn, &arn[..arn.len() - 7]] {
        let read = world.read(id).await.unwrap();
        assert_eq!(read.secret_string(), Some("one"), "{id}");
        assert_eq!(read.arn(), Some(arn.as_str()));
        assert_eq!(read.version_stages(), ["AWSCURRENT"]);
    }
    let (code, message) = refused(world.read("demo").await);
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, "Secrets Manager can't find the specified secret.");

    // as RDS names those that it manages
    let managed = "rds!cluster-3ad1a2b0-6b1c-4f0a-9d0e-1f2a3b4c5d6e";
    world.create(managed, "two").await;
    assert_eq!(
        world.read(managed).await.unwrap().secret_string(),
        Some("two")
    );
}

#[tokio::test]
async fn a_partial_arn_counts_as_complete_if_the_name_ends_like_a_suffix() {
    let world = serve_without_function().await;
    world.create("demo-a1b2c3", "one").await;
    let arn = world.service.arn("demo-a1b2c3").unwrap();
    let (code, _) = refused(world.read(&arn[..arn.len() - 7]).await);
    assert_eq!(code, "ResourceNotFoundException");
}

#[tokio::test]
async fn an_absent_value_and_a_label_on_another_version_are_different_errors() {
    let world = serve_without_function().await;
    let current = world.create("demo", "one").await;
    let pending = token("pending");
    world.service.stage("demo", &pending).unwrap();
    assert_eq!(world.labels(&pending).await, ["AWSPENDING"]);

    let read = || world.client.get_secret_value().secret_id("demo");
    let pending_of = |version: &str| read().version_id(version).version_stage("AWSPENDING");
    let (code, message) = refused(pending_of(&pending).send().await);
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(
        message,
        format!("Secrets Manager can't find the specified secret value for VersionId: {pending}")
    );
    let (code, message) = refused(read().version_stage("AWSPENDING").send().await);
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(
        message,
        "Secrets Manager can't find the specified secret value for staging label: AWSPENDING"
    );
    let (code, message) = refused(pending_of(&current).send().await);
    assert_eq!(code, "InvalidRequestException");
    assert_eq!(
        message,
        "You provided a VersionStage that is not associated to the provided VersionId."
    );
}

#[tokio::test]
async fn a_token_belongs_to_one_value() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let pending = token("pending");
    world.put_pending(&pending, "two").await;
    world.put_pending(&pending, "two").await;

    let put = world.put("three").client_request_token(&pending);
    let (code, message) = refused(put.version_stages("AWSPENDING").send().await);
    assert_eq!(code, "ResourceExistsException");
    let arn = world.service.arn("demo").unwrap();
    let told = message.contains(&pending) && message.contains(&arn);
    assert!(told, "{message}");
    assert_eq!(value(&world.client, "AWSPENDING").await, "two");

    let short = world.put("x").client_request_token("short");
    let (code, message) = refused(short.send().await);
    assert_eq!(code, "InvalidParameterException");
    assert!(message.contains("32-64"), "{message}");
}

#[tokio::test]
async fn promotion_is_a_compare_and_swap() {
    let world = serve_without_function().await;
    let first = world.create("demo", "one").await;
    let pending = token("pending");
    world.put_pending(&pending, "two").await;
    let promote = || {
        let promote = world.client.update_secret_version_stage();
        let promote = promote.secret_id("demo").version_stage("AWSCURRENT");
        promote.move_to_version_id(&pending)
    };

    let (code, message) = refused(promote().send().await);
    assert_eq!(code, "InvalidParameterException");
    let told = message.contains("RemoveFromVersionId can't be empty") && message.contains(&first);
    assert!(told, "{message}");

    let from_the_first = || promote().remove_from_version_id(&first).send();
    from_the_first().await.unwrap();
    assert_eq!(value(&world.client, "AWSCURRENT").await, "two");
    assert_eq!(value(&world.client, "AWSPREVIOUS").await, "one");
    assert_eq!(world.labels(&pending).await, ["AWSCURRENT", "AWSPENDING"]);

    // a repeated promotion finds the label elsewhere
    let (code, _) = refused(from_the_first().await);
    assert_eq!(code, "InvalidParameterException");
}

#[tokio::test]
async fn an_update_makes_a_new_current_version_and_keeps_the_rest() {
    let world = serve_without_function().await;
    let first = world.create("demo", "one").await;
    let update = || {
        let update = world.client.update_secret().secret_id("demo");
        update.secret_string("two")
    };
    let described = update().description("what it is for").send().await;
    let second = described.unwrap().version_id.unwrap();
    assert_eq!(world.labels(&first).await, ["AWSPREVIOUS"]);
    assert_eq!(world.labels(&second).await, ["AWSCURRENT"]);
    let described = world.describe("demo").await;
    assert_eq!(described.description(), Some("what it is for"));
    // it was never configured
    assert_eq!(described.rotation_enabled(), None);

    let again = || update().client_request_token(&second);
    again().send().await.unwrap();
    assert_eq!(world.labels(&first).await, ["AWSPREVIOUS"], "once");
    let another = again().secret_string("three").send().await;
    assert_eq!(refused(another).0, "ResourceExistsException");

    let forgotten = world.client.update_secret().secret_id("demo");
    forgotten.description("").send().await.unwrap();
    let never = world.client.create_secret().name("never").description("");
    never.send().await.unwrap();
    for name in ["demo", "never"] {
        assert_eq!(world.describe(name).await.description(), None, "{name}");
    }
}

#[tokio::test]
async fn a_repeated_create_with_its_token_and_another_value_is_refused() {
    let world = serve_without_function().await;
    let create = |value: &str| {
        let create = world
            .client
            .create_secret()
            .name("demo")
            .secret_string(value);
        create.client_request_token(token("first")).send()
    };
    create("one").await.unwrap();
    create("one").await.unwrap();
    let (code, message) = refused(create("two").await);
    assert_eq!(code, "ResourceExistsException");
    assert!(
        message.starts_with("You can't use ClientRequestToken "),
        "{message}"
    );
}

#[tokio::test]
async fn a_put_without_a_value_is_an_invalid_request() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let put = world.client.put_secret_value().secret_id("demo");
    assert_eq!(refused(put.send().await).0, "InvalidRequestException");
}

#[tokio::test]
async fn a_raw_request_without_a_token_is_refused() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    for (operation, code) in [
        ("CreateSecret", "InvalidRequestException"),
        ("UpdateSecret", "InvalidRequestException"),
        ("PutSecretValue", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
    ] {
        let headers = format!("X-Amz-Target: secretsmanager.{operation}\r\n");
        let named = if operation == "CreateSecret" {
            "Name"
        } else {
            "SecretId"
        };
        let body = serde_json::json!({ named: "demo" }).to_string();
        let told = post(world.address, "/", &headers, &body).await;
        assert!(
            told.contains(&format!("\"__type\":\"{code}\"")),
            "{operation}: {told}"
        );
        assert!(
            told.contains("You must provide a ClientRequestToken value."),
            "{told}"
        );
    }
}

#[tokio::test]
async fn binary_values_are_returned_byte_for_byte() {
    let world = serve_without_function().await;
    let bytes = Blob::new([0, 159, 146, 150, 255]);
    let create = world.client.create_secret().name("demo");
    let created = create.secret_binary(bytes.clone()).send().await;
    created.unwrap();
    let read = world.read("demo").await.unwrap();
    assert_eq!(read.secret_binary(), Some(&bytes));
    assert_eq!(read.secret_string(), None);
}

#[tokio::test]
async fn a_deleted_secret_does_not_return_its_value_until_it_is_restored() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let first_arn = world.service.arn("demo").unwrap();
    let delete = || world.client.delete_secret().secret_id("demo");
    let deleted = delete().recovery_window_in_days(7).send().await;
    deleted.unwrap();

    let (code, message) = refused(world.read("demo").await);
    assert_eq!(code, "InvalidRequestException");
    let told = message.contains("because it was marked for deletion");
    assert!(told, "{message}");
    let (code, message) = refused(world.client.create_secret().name("demo").send().await);
    assert_eq!(code, "InvalidRequestException");
    let told = message.contains("already scheduled for deletion");
    assert!(told, "{message}");
    assert!(world.describe("demo").await.deleted_date().is_some());

    let restore = world.client.restore_secret().secret_id("demo");
    restore.send().await.unwrap();
    assert_eq!(value(&world.client, "AWSCURRENT").await, "one");

    for _ in 0..2 {
        let gone = delete().force_delete_without_recovery(true).send().await;
        gone.unwrap();
    }
    world.create("demo", "two").await;
    assert_ne!(world.service.arn("demo").unwrap(), first_arn);
}

#[tokio::test]
async fn an_unsupported_operation_is_named() {
    let world = serve_without_function().await;
    let operation = "AssociateCrossAccountReplica";
    let error = world.service.call(operation, json!({})).await.unwrap_err();
    assert_eq!(error.code, "UnknownOperationException");
    assert!(error.message.contains(operation), "{error}");
}

#[tokio::test]
async fn neither_values_nor_rotation_tokens_show_in_debug_output() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let rotation_token = "00000000-0000-4000-8000-000000000000";
    let put = world.put("hush").rotation_token(rotation_token);
    put.send().await.unwrap();
    let calls = world.service.calls();
    assert_eq!(calls[1].rotation_token.as_deref(), Some(rotation_token));
    let shown = format!("{calls:?}");
    let told = shown.contains("PutSecretValue(demo) with a RotationToken");
    assert!(told, "{shown}");
    let secret = shown.contains(rotation_token) || shown.contains("hush");
    assert!(!secret, "{shown}");
}
