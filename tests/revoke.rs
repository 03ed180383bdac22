//! After a leak: what came before AWSCURRENT ends at once, and nobody is locked out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{TOKEN, invoke, rotate, snapshot, stored};
use local::{invocation::Invoked, world::World};
use serde_json::{Value, json};
use tokio_postgres::Client;

async fn revoke(world: &World, secret: &str) -> Invoked {
    let event = json!({ "Step": "revokeSecret", "SecretId": common::arn(world, secret) });
    world.function().invoke(event).await
}

async fn session(
    world: &World,
    secret: &str,
    label: &str,
) -> Result<Client, local::postgres::Error> {
    let text = stored(world.secrets_manager(), secret, label)
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    world
        .postgres()
        .connect(&text("username"), &text("password"), &text("dbname"))
        .await
}

async fn is_alive(client: &Client) -> bool {
    client.simple_query("SELECT 1").await.is_ok()
}

#[tokio::test]
async fn under_alternating_users_the_old_password_and_its_sessions_end_and_the_current_ones_live_on()
 {
    let world = common::world().await;
    let secret = world.alternating_users();
    let leaked = [
        session(&world, secret, "AWSCURRENT").await.unwrap(),
        session(&world, secret, "AWSCURRENT").await.unwrap(),
    ];
    assert!(rotate(&world, secret).await.succeeded);
    let current = session(&world, secret, "AWSCURRENT").await.unwrap();
    session(&world, secret, "AWSPREVIOUS").await.unwrap();

    let answer = revoke(&world, secret).await.outcome.unwrap();

    assert_eq!(answer["outcome"], "revoked");
    assert!(answer["sessions"].as_u64().unwrap() >= 2, "{answer}");
    for session in &leaked {
        assert!(!is_alive(session).await);
    }
    let Err(local::postgres::Error::Refused(error)) = session(&world, secret, "AWSPREVIOUS").await
    else {
        panic!("the leaked password logs in")
    };
    assert_eq!(error.code().unwrap().code(), "28P01");
    assert!(is_alive(&current).await);
    session(&world, secret, "AWSCURRENT").await.unwrap();

    assert_eq!(
        revoke(&world, secret).await.outcome.unwrap()["sessions"],
        0,
        "once more finds nothing"
    );
    assert!(
        rotate(&world, secret).await.succeeded,
        "and the user's next turn comes"
    );
    session(&world, secret, "AWSCURRENT").await.unwrap();
}

#[tokio::test]
async fn under_single_user_the_sessions_of_the_old_password_end_and_newer_ones_live_on() {
    let world = common::world().await;
    let secret = world.single_user();
    let leaked = session(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    let current = session(&world, secret, "AWSCURRENT").await.unwrap();

    let answer = revoke(&world, secret).await.outcome.unwrap();

    assert_eq!(
        (&answer["outcome"], &answer["sessions"]),
        (&json!("revoked"), &json!(1)),
        "{answer}"
    );
    assert!(!is_alive(&leaked).await);
    assert!(is_alive(&current).await);
}

#[tokio::test]
async fn while_a_rotation_is_in_flight_nothing_is_revoked() {
    let world = common::world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        assert!(rotate(&world, secret).await.succeeded);
        world.secrets_manager().stage(secret, TOKEN).unwrap();
        invoke(&world, secret, "createSecret")
            .await
            .outcome
            .unwrap();
        let before = snapshot(&world, secret).await;
        let error = revoke(&world, secret).await.outcome.unwrap_err();
        assert_eq!(error.error_type, "RotationInFlight", "{error}");
        assert_eq!(snapshot(&world, secret).await, before);
        session(&world, secret, "AWSCURRENT").await.unwrap();
    }
    session(&world, world.alternating_users(), "AWSPREVIOUS")
        .await
        .unwrap();
}

#[tokio::test]
async fn while_awscurrent_does_not_log_in_nothing_is_revoked() {
    let world = common::world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let clone = format!("{}_clone", world.alternating_role());
    world
        .postgres()
        .execute(&format!("ALTER ROLE {clone} PASSWORD 'by hand'"))
        .await
        .unwrap();
    let error = revoke(&world, secret).await.outcome.unwrap_err();
    assert_eq!(error.error_type, "CurrentRejected", "{error}");
    session(&world, secret, "AWSPREVIOUS").await.unwrap();
}

#[tokio::test]
async fn before_the_first_rotation_there_is_nothing_to_revoke() {
    let world = common::world().await;
    let answer = revoke(&world, world.alternating_users())
        .await
        .outcome
        .unwrap();
    assert_eq!(answer["outcome"], "nothing to revoke");
    session(&world, world.alternating_users(), "AWSCURRENT")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_administrator_that_may_not_end_sessions_is_told_the_grant_that_cures_it() {
    let world = common::world().await;
    let secret = world.alternating_users();
    // the clone's turn: the administrator made that role, and is no member that could act as it
    assert!(rotate(&world, secret).await.succeeded);
    let leaked = session(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    let admin = format!("admin_of_{}", world.role());
    world
        .postgres()
        .execute(&format!("REVOKE pg_signal_backend FROM {admin}"))
        .await
        .unwrap();
    let error = revoke(&world, secret).await.outcome.unwrap_err();
    assert_eq!(error.error_type, "AdministratorForbidden", "{error}");
    let cure = format!("GRANT \"pg_signal_backend\" TO \"{admin}\"");
    assert!(error.error_message.contains(&cure), "{error}");
    assert!(is_alive(&leaked).await);
    assert!(
        session(&world, secret, "AWSPREVIOUS").await.is_err(),
        "the password has ended all the same"
    );
}
