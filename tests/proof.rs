//! testSecret proves more than a login.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{TOKEN, failure, outcome, rotate};
use local::world::World;

async fn world_with(verify_sql: &str) -> World {
    let mut options = common::options();
    options
        .function_env
        .push(("VERIFY_SQL".to_owned(), verify_sql.to_owned()));
    World::start(options).await.unwrap()
}

async fn tested_after(world: &World, secret: &str) {
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(world, secret, "createSecret").await;
    outcome(world, secret, "setSecret").await;
}

#[tokio::test]
async fn verify_sql_runs_as_the_new_credential() {
    let world = world_with("SELECT id, item FROM orders").await;
    assert!(rotate(&world, world.single_user()).await.succeeded);
}

#[tokio::test]
async fn verify_sql_that_fails_fails_the_step_with_the_servers_words() {
    let world = world_with("SELECT id FROM stock").await; // the other application's table
    let secret = world.single_user();
    tested_after(&world, secret).await;
    let error = failure(&world, secret, "testSecret").await;
    assert_eq!(error.error_type, "VerifyFailed", "{error}");
    assert!(
        error
            .error_message
            .contains("42501 (permission denied for table stock)"),
        "{error}"
    );
}

#[tokio::test]
async fn verify_sql_cannot_change_anything() {
    let world = world_with("INSERT INTO orders VALUES (1, 'x')").await;
    tested_after(&world, world.single_user()).await;
    let error = failure(&world, world.single_user(), "testSecret").await;
    assert!(error.error_message.contains("25006"), "{error}");
}

#[tokio::test]
async fn a_clone_that_does_not_act_as_its_owner_is_not_promoted() {
    let world = common::world().await;
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    tested_after(&world, secret).await;
    // the setting is there, and the membership that it needs is not: the server then ignores it
    let admin = format!("admin_of_{}", world.role());
    let revoke = format!("REVOKE {base} FROM {base}_clone GRANTED BY {admin}");
    world.postgres().execute(&revoke).await.unwrap();
    let error = failure(&world, secret, "testSecret").await;
    assert_eq!(error.error_type, "CredentialNotAsExpected", "{error}");
    assert!(
        error.error_message.contains("does not act as the role"),
        "{error}"
    );
}
