//! After a leak: every credential before AWSCURRENT ends at once, and no client is locked out.

#![cfg(test)]

mod common;

use common::{
    administrator, assert_error, assert_rejected, current, document, execute, is_alive, log_in,
    put, revoke, rotate, snapshot, stage_up_to, world, world_where,
};
use local::{postgres::Error, secrets_manager::labels::Promotion, world::World};
use serde_json::json;
use tokio_postgres::Client;

async fn session(world: &World, secret: &str, label: &str) -> Result<Client, Error> {
    log_in(world, &document(world, secret, label).await.unwrap()).await
}

#[tokio::test]
async fn with_alternating_users_the_old_password_and_its_sessions_end_and_the_current_ones_continue()
 {
    for promotion in Promotion::ALL {
        assert_the_old_users_sessions_end(&world_where(promotion).await).await;
    }
}

async fn assert_the_old_users_sessions_end(world: &World) {
    let secret = world.alternating_users();
    let leaked = [
        session(world, secret, "AWSCURRENT").await.unwrap(),
        session(world, secret, "AWSCURRENT").await.unwrap(),
    ];
    assert!(rotate(world, secret).await.succeeded);
    let current = session(world, secret, "AWSCURRENT").await.unwrap();
    session(world, secret, "AWSPREVIOUS").await.unwrap();

    let answer = revoke(world, secret).await.unwrap();

    assert_eq!(answer["outcome"], "revoked");
    assert!(answer["sessions"].as_u64().unwrap() >= 2, "{answer}");
    for session in &leaked {
        assert!(!is_alive(session).await);
    }
    assert_rejected(session(world, secret, "AWSPREVIOUS").await);
    assert!(is_alive(&current).await);
    session(world, secret, "AWSCURRENT").await.unwrap();

    let again = revoke(world, secret).await.unwrap();
    assert_eq!(again["sessions"], 0, "once more finds nothing");
    assert!(
        rotate(world, secret).await.succeeded,
        "and the user's next turn comes"
    );
    session(world, secret, "AWSCURRENT").await.unwrap();
}

#[tokio::test]
async fn if_awscurrent_was_stored_once_more_the_other_user_still_ends() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let leaked = document(&world, secret, "AWSPREVIOUS").await.unwrap();
    let same = current(&world, secret).await;
    put(&world, secret, same).await;
    let answer = revoke(&world, secret).await.unwrap();
    assert_eq!(answer["outcome"], "revoked");
    assert_rejected(log_in(&world, &leaked).await);
    session(&world, secret, "AWSCURRENT").await.unwrap();
}

#[tokio::test]
async fn with_a_single_user_the_sessions_of_the_old_password_end_and_newer_ones_continue() {
    let world = world().await;
    let secret = world.single_user();
    let leaked = session(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    let current = session(&world, secret, "AWSCURRENT").await.unwrap();

    let answer = revoke(&world, secret).await.unwrap();

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
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        assert!(rotate(&world, secret).await.succeeded);
        stage_up_to(&world, secret, "setSecret").await;
        let before = snapshot(&world, secret).await;
        let error = revoke(&world, secret).await.unwrap_err();
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
    let world = world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let clone = format!("{}_clone", world.alternating_role());
    execute(&world, &format!("ALTER ROLE {clone} PASSWORD 'by hand'")).await;
    let error = revoke(&world, secret).await.unwrap_err();
    assert_eq!(error.error_type, "CurrentRejected", "{error}");
    session(&world, secret, "AWSPREVIOUS").await.unwrap();
}

#[tokio::test]
async fn before_the_first_rotation_there_is_nothing_to_revoke() {
    let world = world().await;
    let secret = world.alternating_users();
    let answer = revoke(&world, secret).await.unwrap();
    assert_eq!(answer["outcome"], "nothing to revoke");
    session(&world, secret, "AWSCURRENT").await.unwrap();
}

#[tokio::test]
async fn an_administrator_that_may_not_end_sessions_gets_the_grant_in_the_error() {
    let world = world().await;
    let secret = world.alternating_users();
    // the clone's turn: the administrator made that role, and is not a member of it
    assert!(rotate(&world, secret).await.succeeded);
    let leaked = session(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    let admin = administrator(&world);
    execute(&world, &format!("REVOKE pg_signal_backend FROM {admin}")).await;
    let error = revoke(&world, secret).await.unwrap_err();
    let cure = format!("GRANT \"pg_signal_backend\" TO \"{admin}\"");
    assert_error(&error, "AdministratorForbidden", &cure);
    assert!(is_alive(&leaked).await);
    assert!(
        session(&world, secret, "AWSPREVIOUS").await.is_err(),
        "the password has still ended"
    );
}
