//! `rotatectl rollback` against the local world.

#![cfg(test)]

mod common;

use common::{
    called, current, document, json_of, log_in, options_with, rotatectl, rotated, start, world,
};
use snapbox::str;

#[tokio::test]
async fn a_rollback_makes_awsprevious_current_and_a_second_one_reverses_it() {
    let world = world().await;
    let secret = world.alternating_users();
    let good = current(&world, secret).await;
    rotated(&world, secret).await;
    let bad = current(&world, secret).await;
    let ran = rotatectl(&world, &["rollback", secret, "--yes"]).await;
    ran.success()
        .stdout_eq(str![[r#"
demo/stock/alternating: rolled back

"#]])
        .stderr_eq(str![[r#"
rolling back demo/stock/alternating in account 123456789012, region us-east-1

"#]]);
    assert_eq!(current(&world, secret).await, good);
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        let document = document(&world, secret, label).await;
        log_in(&world, &document).await.unwrap();
    }
    let ran = rotatectl(&world, &["rollback", secret, "--yes", "--json"]).await;
    let expected = serde_json::json!({ "outcome": "rolled back" });
    assert_eq!(json_of(&ran.success()), expected);
    assert_eq!(current(&world, secret).await, bad);
}

#[tokio::test]
async fn a_refusal_of_the_function_is_reported_and_without_a_terminal_nothing_is_done() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "0s")])).await;
    let secret = world.alternating_users();
    rotated(&world, secret).await;
    let moved = called(&world, "UpdateSecretVersionStage");
    let ran = rotatectl(&world, &["rollback", secret]).await;
    ran.code(1).stderr_eq(str![[r#"
rolling back demo/stock/alternating in account 123456789012, region us-east-1
rotatectl: cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes

"#]]);
    let ran = rotatectl(&world, &["rollback", secret, "--yes"]).await;
    ran.code(1).stderr_eq(str![[r#"
rolling back demo/stock/alternating in account 123456789012, region us-east-1
rotatectl: rollbackSecret failed (PreviousRejected: nothing was rolled back: [..] its overlap window is over, or it was revoked: rotate again, which gives stock_[..] a new password); when the cause is gone, run rotatectl rollback arn:[..]

"#]]);
    assert_eq!(called(&world, "UpdateSecretVersionStage"), moved);
}
