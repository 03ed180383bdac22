//! `rotatectl revoke` against the local world.

#![cfg(test)]

mod common;

use common::{called, document, json_of, leave_over, log_in, rotatectl, rotated, world};
use snapbox::str;

#[tokio::test]
async fn the_credential_before_awscurrent_ends_now_with_its_sessions_and_awscurrent_still_logs_in()
{
    let world = world().await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let previous = document(&world, secret, "AWSPREVIOUS").await;
    let session = log_in(&world, &previous).await.unwrap();
    let ran = rotatectl(&world, &["revoke", secret, "--yes"]).await;
    ran.success()
        .stdout_eq(str![[r#"
demo/stock/alternating: revoked, sessions ended: 1

"#]])
        .stderr_eq(str![[r#"
revoking the credential before AWSCURRENT of demo/stock/alternating in account 123456789012, region us-east-1

"#]]);
    assert!(log_in(&world, &previous).await.is_err());
    assert!(session.simple_query("SELECT 1").await.is_err());
    let current = document(&world, secret, "AWSCURRENT").await;
    log_in(&world, &current).await.unwrap();
    let ran = rotatectl(&world, &["revoke", secret, "--yes", "--json"]).await;
    assert_eq!(json_of(&ran.success())["outcome"], "revoked");
}

/// With a single user, nothing stops a login that began with the old password.
#[tokio::test]
async fn a_single_user_must_be_revoked_again_after_unfinished_logins_have_ended() {
    let world = world().await;
    let secret = world.single_user();
    rotated(&world, secret).await;
    let ran = rotatectl(&world, &["revoke", secret, "--yes"]).await;
    ran.success().stdout_eq(str![[r#"
demo/orders/single: revoked, sessions ended: 0; a login that began before can still succeed for [..] s: revoke again after that

"#]]);
    let ran = rotatectl(&world, &["revoke", secret, "--yes", "--json"]).await;
    let seconds = json_of(&ran.success())["again_in_seconds"].as_u64();
    assert!(seconds.is_some_and(|seconds| seconds <= 60), "{seconds:?}");
}

#[tokio::test]
async fn a_refusal_of_the_function_is_reported_and_without_a_terminal_nothing_is_done() {
    let world = world().await;
    let secret = world.single_user();
    let ran = rotatectl(&world, &["revoke", secret]).await;
    ran.code(1).stderr_eq(str![[r#"
revoking the credential before AWSCURRENT of demo/orders/single in account 123456789012, region us-east-1
rotatectl: cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes

"#]]);
    leave_over(&world, secret, 1).await;
    let ran = rotatectl(&world, &["revoke", secret, "--yes"]).await;
    ran.code(1).stderr_eq(str![[r#"
revoking the credential before AWSCURRENT of demo/orders/single in account 123456789012, region us-east-1
rotatectl: revokeSecret failed (RotationInFlight: [..]); when the cause is gone, run rotatectl revoke arn:[..]

"#]]);
    assert_eq!(called(&world, "UpdateSecretVersionStage"), 0);
}
