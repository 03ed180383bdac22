//! The secret's own settings and its function: found, and mended by what is printed.

use super::*;

#[tokio::test]
async fn a_rotation_that_was_canceled_is_turned_on_again() {
    let world = world(options()).await;
    let secret = world.single_user();
    call(&world, "CancelRotateSecret", json!({ "SecretId": secret })).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("rotation", "rotation is not enabled");
    let [on] = &said.cure("rotation");
    follow_rotation(&world, secret, on).await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn a_secret_that_is_scheduled_for_deletion_is_taken_back() {
    let world = world(options()).await;
    let secret = world.single_user();
    call(&world, "DeleteSecret", json!({ "SecretId": secret })).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("rotation", "scheduled for deletion");
    let [restore] = &said.cure("rotation");
    follow(&world, restore, "").await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn a_function_without_permission_to_be_invoked_gets_it() {
    let world = world(options()).await;
    let secret = world.single_user();
    world.function().set_policy(Vec::new());
    let said = doctor(&world, &[secret], "").await;
    assert_eq!(said.checks("wrong"), ["permission"], "{}", said.stdout);
    let [allow] = &said.cure("permission");
    follow(&world, allow, "").await;
    assert_mended(&world, secret).await;
}

#[tokio::test]
async fn a_permission_to_invoke_the_function_without_a_source_account_is_a_warning() {
    let world = world(options()).await;
    let statement = json!({
        "Sid": "open", "Effect": "Allow", "Principal": { "Service": "secretsmanager.amazonaws.com" },
        "Action": "lambda:InvokeFunction", "Resource": world.function().arn(),
    });
    world.function().set_policy(vec![statement]);
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_warns(&["permission"]);
}

#[tokio::test]
async fn an_absent_function_is_reported_by_its_arn() {
    let world = world(options()).await;
    let secret = world.single_user();
    let gone = world.function().arn().replace("secret-rotation", "gone");
    world
        .secrets_manager()
        .configure_rotation(secret, &gone, 30)
        .unwrap();
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("function", &gone);
    assert_eq!(
        said.checks("skipped"),
        ["environment", "permission"],
        "{}",
        said.stdout
    );
}

#[tokio::test]
async fn an_invalid_setting_of_the_function_is_reported_before_a_rotation() {
    let world = world(options_with(&[("OVERLAP_WINDOW", "soon")])).await;
    let said = doctor(&world, &[world.alternating_users()], "").await;
    said.assert_wrong("environment", "OVERLAP_WINDOW is \"soon\"");
}

#[tokio::test]
async fn a_function_timeout_of_three_seconds_is_a_warning_and_the_environment_is_not_shown() {
    let mut options = options_with(&[("OTHERS_TOKEN", "keep this one quiet")]);
    options.function_timeout = Duration::from_secs(3);
    let world = world(options).await;
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_warns(&["function"]);
    assert!(!said.stdout.contains("keep this one quiet"));
    let json = doctor(&world, &[world.single_user(), "--json"], "").await;
    assert!(!json.stdout.contains("keep this one quiet"));
}

#[tokio::test]
async fn a_client_that_caches_longer_than_the_overlap_is_a_warning() {
    let world = world(options_with(&[("OVERLAP_WINDOW", "5m")])).await;
    let said = doctor(&world, &[world.alternating_users()], "").await;
    said.assert_warns(&["clients"]);
}

#[tokio::test]
async fn with_two_users_a_schedule_that_is_shorter_than_the_overlap_is_a_warning() {
    let world = world(options_with(&[("OVERLAP_WINDOW", "40d")])).await;
    let secret = world.alternating_users();
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["schedule"]);
    assert!(
        said.stdout
            .contains("rotates every 30d, but the overlap is 40d"),
        "{}",
        said.stdout
    );
    let [longer] = &said.cure("schedule");
    follow(&world, longer, "").await;
    until(&world, secret, "schedule", "ok").await;
    doctor(&world, &[world.single_user()], "")
        .await
        .assert_warns(&[]);
}

#[tokio::test]
async fn a_key_that_does_not_decrypt_is_distinguished_from_a_missing_right() {
    let world = world(options()).await;
    let secret = world.single_user();
    for (code, message, verdict, cure) in [
        (
            "AccessDeniedException",
            "Access to KMS is not allowed",
            "unknown",
            true,
        ),
        (
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text",
            "wrong",
            true,
        ),
        (
            "AccessDeniedException",
            "not authorized to perform: secretsmanager:GetSecretValue",
            "unknown",
            false,
        ),
    ] {
        inject_error(&world, "GetSecretValue", code, message);
        let said = doctor(&world, &[secret], "").await;
        assert_eq!(said.checks(verdict), ["key"], "{}", said.stdout);
        assert_eq!(
            said.below("key")
                .iter()
                .any(|line| line.contains("kms:Decrypt")),
            cure
        );
    }
}

#[tokio::test]
async fn a_document_that_the_function_will_refuse_is_reported_in_the_functions_words() {
    let world = world(options()).await;
    let secret = world.single_user();
    store(&world, secret, "engine", json!("mysql")).await;
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong("document", "names the engine \"mysql\"");
    assert!(
        said.checks("skipped").contains(&"AWSCURRENT"),
        "{}",
        said.stdout
    );
}

#[tokio::test]
async fn a_secret_without_tags_is_a_warning_and_one_without_a_lifetime_is_not() {
    let world = common::world().await;
    let said = doctor(&world, &[world.single_user()], "").await;
    said.assert_warns(&["tags"]);
    assert_eq!(said.checks("skipped"), ["clients"], "{}", said.stdout);
    let [tag] = &said.cure("tags");
    follow(&world, tag, "").await;
    assert_eq!(
        doctor(&world, &[world.single_user()], "").await.verdicts()["tags"],
        "ok"
    );
}

#[tokio::test]
async fn an_absent_master_secret_is_reported_by_its_name() {
    let world = world(options()).await;
    let secret = world.alternating_users();
    store(&world, secret, "masterarn", json!("demo/nobody")).await;
    doctor(&world, &[secret], "")
        .await
        .assert_wrong("administrator", "demo/nobody");
}

#[tokio::test]
async fn an_overdue_rotation_is_a_warning() {
    let world = world(options()).await;
    let secret = world.single_user();
    world.secrets_manager().age(secret, 25).unwrap();
    assert_eq!(
        doctor(&world, &[secret], "").await.verdicts()["rotation"],
        "ok"
    );
    world.secrets_manager().age(secret, 10).unwrap();
    let said = doctor(&world, &[secret], "").await;
    said.assert_warns(&["rotation"]);
    let [rotate] = &said.cure("rotation");
    follow_rotation(&world, secret, rotate).await;
    assert_eq!(
        doctor(&world, &[secret], "").await.verdicts()["rotation"],
        "ok"
    );
}

#[tokio::test]
async fn a_secret_without_a_value_or_a_function_is_reported_with_what_is_missing() {
    let world = world(options()).await;
    call(&world, "CreateSecret", json!({ "Name": "demo/empty" })).await;
    let said = doctor(&world, &["demo/empty"], "").await;
    assert_eq!(
        said.checks("wrong"),
        ["rotation", "labels"],
        "{}",
        said.stdout
    );
    said.assert_wrong("labels", "no version is AWSCURRENT");
    assert_eq!(
        said.checks("skipped")[..3],
        ["function", "environment", "permission"]
    );
}

#[tokio::test]
async fn a_rotation_that_fails_at_each_attempt_is_a_fault_before_its_date() {
    let world = world(options()).await;
    let secret = world.single_user();
    execute(
        &world,
        &format!("ALTER ROLE {} PASSWORD 'by hand'", world.role()),
    )
    .await;
    assert!(
        !world
            .secrets_manager()
            .rotate(secret)
            .await
            .unwrap()
            .succeeded
    );
    let said = doctor(&world, &[secret], "").await;
    said.assert_wrong(
        "log",
        "setSecret fails, 3 times in the rotation in progress",
    );
    assert_eq!(said.verdicts()["labels"], "warning", "{}", said.stdout);
    // the same patience as status has
    let said = doctor(&world, &[secret, "--stuck-after", "0s"], "").await;
    said.assert_wrong("labels", "AWSPENDING was left over");
}

#[tokio::test]
async fn a_check_without_the_right_to_read_is_unknown_and_not_a_fault() {
    let world = world(options()).await;
    let secret = world.single_user();
    let all = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": ["secretsmanager:GetSecretValue", "lambda:*", "logs:*"], "Resource": "*" },
    ]});
    world.iam().restrict("any", "operator", &[all]).unwrap();
    let said = doctor(&world, &[secret], "").await;
    said.assert_unknown();
    assert_eq!(
        said.checks("unknown"),
        ["function", "log", "key"],
        "{}",
        said.stdout
    );
}
