use aws_sdk_secretsmanager::primitives::Blob;

use super::{refused, serve_without_function, token, value};

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
        let read = world
            .client
            .get_secret_value()
            .secret_id(id)
            .send()
            .await
            .unwrap();
        assert_eq!(read.secret_string(), Some("one"), "{id}");
        assert_eq!(read.arn(), Some(arn.as_str()));
        assert_eq!(read.version_stages(), ["AWSCURRENT"]);
    }
    let (code, message) = refused(
        world
            .client
            .get_secret_value()
            .secret_id("demo")
            .send()
            .await,
    );
    assert_eq!(code, "ResourceNotFoundException");
    assert_eq!(message, "Secrets Manager can't find the specified secret.");
}

#[tokio::test]
async fn a_partial_arn_is_taken_for_a_complete_one_where_the_name_ends_like_a_suffix() {
    let world = serve_without_function().await;
    world.create("demo-a1b2c3", "one").await;
    let arn = world.service.arn("demo-a1b2c3").unwrap();
    let (code, _) = refused(
        world
            .client
            .get_secret_value()
            .secret_id(&arn[..arn.len() - 7])
            .send()
            .await,
    );
    assert_eq!(code, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_value_that_is_not_there_is_told_apart_from_a_label_on_another_version() {
    let world = serve_without_function().await;
    let current = world.create("demo", "one").await;
    let pending = token("pending");
    world.service.stage("demo", &pending).unwrap();
    assert_eq!(world.labels(&pending).await, ["AWSPENDING"]);

    let read = || world.client.get_secret_value().secret_id("demo");
    let staged = refused(
        read()
            .version_id(&pending)
            .version_stage("AWSPENDING")
            .send()
            .await,
    );
    let message =
        format!("Secrets Manager can't find the specified secret value for VersionId: {pending}");
    assert_eq!(staged, ("ResourceNotFoundException".to_owned(), message));
    let staged = refused(read().version_stage("AWSPENDING").send().await);
    let message =
        "Secrets Manager can't find the specified secret value for staging label: AWSPENDING";
    assert_eq!(
        staged,
        ("ResourceNotFoundException".to_owned(), message.to_owned())
    );
    let mismatch = refused(
        read()
            .version_id(&current)
            .version_stage("AWSPENDING")
            .send()
            .await,
    );
    let message = "You provided a VersionStage that is not associated to the provided VersionId.";
    assert_eq!(
        mismatch,
        ("InvalidRequestException".to_owned(), message.to_owned())
    );
}

#[tokio::test]
async fn a_token_stands_for_one_value() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let pending = token("pending");
    world.put(&pending, "two", "AWSPENDING").await;
    world.put(&pending, "two", "AWSPENDING").await;

    let put = world
        .client
        .put_secret_value()
        .secret_id("demo")
        .client_request_token(&pending)
        .secret_string("three");
    let (code, message) = refused(put.version_stages("AWSPENDING").send().await);
    assert_eq!(code, "ResourceExistsException");
    let arn = world.service.arn("demo").unwrap();
    assert!(
        message.contains(&pending) && message.contains(&arn),
        "{message}"
    );
    assert_eq!(value(&world.client, "AWSPENDING").await, "two");

    let short = world
        .client
        .put_secret_value()
        .secret_id("demo")
        .client_request_token("short")
        .secret_string("x");
    let (code, message) = refused(short.send().await);
    assert_eq!(
        (code.as_str(), message.contains("32-64")),
        ("InvalidParameterException", true)
    );
}

#[tokio::test]
async fn promotion_is_a_compare_and_swap() {
    let world = serve_without_function().await;
    let first = world.create("demo", "one").await;
    let pending = token("pending");
    world.put(&pending, "two", "AWSPENDING").await;
    let promote = || {
        let promote = world
            .client
            .update_secret_version_stage()
            .secret_id("demo")
            .version_stage("AWSCURRENT");
        promote.move_to_version_id(&pending)
    };

    let (code, message) = refused(promote().send().await);
    assert_eq!(code, "InvalidParameterException");
    assert!(
        message.contains("RemoveFromVersionId can't be empty") && message.contains(&first),
        "{message}"
    );

    promote()
        .remove_from_version_id(&first)
        .send()
        .await
        .unwrap();
    assert_eq!(value(&world.client, "AWSCURRENT").await, "two");
    assert_eq!(value(&world.client, "AWSPREVIOUS").await, "one");
    assert_eq!(world.labels(&pending).await, ["AWSCURRENT", "AWSPENDING"]);

    let (code, _) = refused(promote().remove_from_version_id(&first).send().await);
    assert_eq!(
        code, "InvalidParameterException",
        "a repeated promotion finds the label elsewhere"
    );
}

#[tokio::test]
async fn an_update_makes_a_new_current_version_and_keeps_the_rest() {
    let world = serve_without_function().await;
    let first = world.create("demo", "one").await;
    let update = world
        .client
        .update_secret()
        .secret_id("demo")
        .description("what it is for")
        .secret_string("two");
    let second = update.send().await.unwrap().version_id.unwrap();
    assert_eq!(world.labels(&first).await, ["AWSPREVIOUS"]);
    assert_eq!(world.labels(&second).await, ["AWSCURRENT"]);
    let described = world
        .client
        .describe_secret()
        .secret_id("demo")
        .send()
        .await
        .unwrap();
    assert_eq!(described.description(), Some("what it is for"));
    assert_eq!(
        described.rotation_enabled(),
        None,
        "it was never configured"
    );

    let update = world
        .client
        .update_secret()
        .secret_id("demo")
        .client_request_token(&second)
        .secret_string("two");
    assert_eq!(
        refused(update.send().await).0,
        "ResourceExistsException",
        "unlike PutSecretValue, even for the same value"
    );
}

#[tokio::test]
async fn binary_values_come_back_byte_for_byte() {
    let world = serve_without_function().await;
    let bytes = Blob::new([0, 159, 146, 150, 255]);
    world
        .client
        .create_secret()
        .name("demo")
        .secret_binary(bytes.clone())
        .send()
        .await
        .unwrap();
    let read = world
        .client
        .get_secret_value()
        .secret_id("demo")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (read.secret_binary(), read.secret_string()),
        (Some(&bytes), None)
    );
}

#[tokio::test]
async fn a_deleted_secret_keeps_its_value_to_itself_until_it_is_restored() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let first_arn = world.service.arn("demo").unwrap();
    world
        .client
        .delete_secret()
        .secret_id("demo")
        .recovery_window_in_days(7)
        .send()
        .await
        .unwrap();

    let (code, message) = refused(
        world
            .client
            .get_secret_value()
            .secret_id("demo")
            .send()
            .await,
    );
    assert_eq!(code, "InvalidRequestException");
    assert!(
        message.contains("because it was marked for deletion"),
        "{message}"
    );
    let (code, message) = refused(world.client.create_secret().name("demo").send().await);
    assert_eq!(
        (
            code.as_str(),
            message.contains("already scheduled for deletion")
        ),
        ("InvalidRequestException", true)
    );
    assert!(
        world
            .client
            .describe_secret()
            .secret_id("demo")
            .send()
            .await
            .unwrap()
            .deleted_date()
            .is_some()
    );

    world
        .client
        .restore_secret()
        .secret_id("demo")
        .send()
        .await
        .unwrap();
    assert_eq!(value(&world.client, "AWSCURRENT").await, "one");

    let delete = || {
        world
            .client
            .delete_secret()
            .secret_id("demo")
            .force_delete_without_recovery(true)
            .send()
    };
    delete().await.unwrap();
    delete().await.unwrap();
    world.create("demo", "two").await;
    assert_ne!(world.service.arn("demo").unwrap(), first_arn);
}

#[tokio::test]
async fn an_operation_that_is_missing_is_named() {
    let world = serve_without_function().await;
    let (code, message) = refused(
        world
            .client
            .get_resource_policy()
            .secret_id("demo")
            .send()
            .await,
    );
    assert_eq!(code, "UnknownOperationException");
    assert!(message.contains("GetResourcePolicy"), "{message}");
}

#[tokio::test]
async fn neither_values_nor_rotation_tokens_show_in_debug_output() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let rotation_token = "00000000-0000-4000-8000-000000000000";
    let put = world
        .client
        .put_secret_value()
        .secret_id("demo")
        .secret_string("hush")
        .rotation_token(rotation_token);
    put.send().await.unwrap();
    let calls = world.service.calls();
    assert_eq!(calls[1].rotation_token.as_deref(), Some(rotation_token));
    let shown = format!("{calls:?}");
    assert!(
        shown.contains("PutSecretValue(demo) with a RotationToken"),
        "{shown}"
    );
    assert!(
        !shown.contains(rotation_token) && !shown.contains("hush"),
        "{shown}"
    );
}
