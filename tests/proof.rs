//! testSecret proves more than a login.

#![cfg(test)]

mod common;

use common::{
    administrator, assert_error, execute, fails, failure, options_with, rotate, stage_up_to, start,
    world,
};
use local::world::World;

async fn world_with(verify_sql: &str) -> World {
    start(options_with(&[("VERIFY_SQL", verify_sql)])).await
}

#[tokio::test]
async fn verify_sql_runs_as_the_new_credential() {
    let world = world_with("SELECT id, item FROM orders").await;
    assert!(rotate(&world, world.single_user()).await.succeeded);
}

#[tokio::test]
async fn verify_sql_that_fails_fails_with_the_servers_words_before_anything_is_changed() {
    let world = world_with("SELECT id FROM stock").await; // the other application's table
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let error = fails(&world, secret, "setSecret").await;
    let denied = "42501 (permission denied for table stock)";
    assert_error(&error, "VerifyFailed", denied);
}

#[tokio::test]
async fn verify_sql_cannot_change_anything() {
    let world = world_with("INSERT INTO orders VALUES (1, 'x')").await;
    stage_up_to(&world, world.single_user(), "setSecret").await;
    let error = fails(&world, world.single_user(), "setSecret").await;
    assert!(error.error_message.contains("25006"), "{error}");
}

#[tokio::test]
async fn a_clone_that_does_not_act_as_its_owner_is_not_promoted() {
    let world = world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    stage_up_to(&world, secret, "testSecret").await;
    // the setting exists without the membership that it needs: the server ignores it
    let admin = administrator(&world);
    let revoke = format!("REVOKE {base} FROM {base}_clone GRANTED BY {admin}");
    execute(&world, &revoke).await;
    let error = failure(&world, secret, "testSecret").await;
    let advice = "does not act as the role";
    assert_error(&error, "CredentialNotAsExpected", advice);
}
