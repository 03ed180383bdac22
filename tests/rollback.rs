//! After a bad rotation: AWSPREVIOUS becomes current again, both log in until the window is over, and no client is locked out.

#![cfg(test)]

mod common;

use std::time::SystemTime;

use common::{
    LONG, answers, assert_error, assert_rejected, current, document, execute, fails, inject,
    log_in, options, options_with, outcome, put, revoke, rollback, rotate, seconds_left, snapshot,
    stage_up_to, start, until, version, workload, world, world_where,
};
use drill::application::{Access, Application, Version};
use local::{
    invocation::FunctionError,
    postgres::Error,
    secrets_manager::{Behavior, Hang, When, labels::Promotion},
    world::World,
};
use serde_json::json;
use tokio_postgres::Client;

async fn session(world: &World, secret: &str, label: &str) -> Result<Client, Error> {
    log_in(world, &document(world, secret, label).await.unwrap()).await
}

fn clone(world: &World) -> String {
    format!("{}_clone", world.alternating_role())
}

/// The rollback is refused and changes nothing: AWSCURRENT logs in.
async fn refused(world: &World, secret: &str) -> FunctionError {
    let before = snapshot(world, secret).await;
    let error = rollback(world, secret).await.unwrap_err();
    assert_eq!(snapshot(world, secret).await, before, "{error}");
    if secret == world.alternating_users() {
        session(world, secret, "AWSCURRENT").await.unwrap();
    }
    error
}

#[tokio::test]
async fn a_rollback_makes_awsprevious_current_without_an_end_and_the_replaced_user_ends_after_its_window()
 {
    for promotion in Promotion::ALL {
        assert_rolls_back(&world_where(promotion).await).await;
    }
}

async fn assert_rolls_back(world: &World) {
    let (secret, base) = (world.alternating_users(), world.alternating_role());
    let good = version(world, secret, "AWSCURRENT").await;
    let open = session(world, secret, "AWSCURRENT").await.unwrap();
    assert!(rotate(world, secret).await.succeeded);
    let bad = version(world, secret, "AWSCURRENT").await;
    assert!(seconds_left(world, base).await.is_some());

    let answer = rollback(world, secret).await.unwrap();

    let expected = json!({ "step": "rollbackSecret", "outcome": "rolled back" });
    assert_eq!(answer, expected);
    assert_eq!(version(world, secret, "AWSCURRENT").await, good);
    assert_eq!(version(world, secret, "AWSPREVIOUS").await, bad);
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        session(world, secret, label).await.unwrap();
    }
    assert_eq!(seconds_left(world, base).await, None);
    let left = seconds_left(world, &clone(world)).await.unwrap();
    assert!((86_000.0..=86_400.0).contains(&left), "{left}");
    open.simple_query("SELECT 1").await.unwrap();

    for user in [clone(world), base.to_owned()] {
        let rotation = rotate(world, secret).await;
        assert!(
            rotation.succeeded && rotation.attempts.len() == 1,
            "{rotation:?}"
        );
        assert_eq!(current(world, secret).await["username"], user);
        session(world, secret, "AWSCURRENT").await.unwrap();
        assert_eq!(seconds_left(world, &user).await, None);
    }
}

#[tokio::test]
async fn after_every_window_awscurrent_logs_in_and_the_version_before_the_rollback_does_not() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "3s")])).await;
    let secret = world.alternating_users();
    // on a busy machine the window may be over before the rollback; then the next rotation opens another one
    loop {
        assert!(rotate(&world, secret).await.succeeded);
        match rollback(&world, secret).await {
            Ok(_) => break,
            Err(error) => assert_eq!(error.error_type, "PreviousRejected", "{error}"),
        }
    }
    let previous = document(&world, secret, "AWSPREVIOUS").await.unwrap();
    let user = previous["username"].as_str().unwrap();
    until("its window is over", async || {
        seconds_left(&world, user).await.unwrap() <= 0.0
    })
    .await;
    assert_rejected(session(&world, secret, "AWSPREVIOUS").await);
    session(&world, secret, "AWSCURRENT").await.unwrap();

    assert!(rotate(&world, secret).await.succeeded);
    assert_eq!(current(&world, secret).await["username"], user);
    let replaced = document(&world, secret, "AWSPREVIOUS").await.unwrap();
    let replaced = replaced["username"].as_str().unwrap();
    until("the next window is over too", async || {
        seconds_left(&world, replaced).await.unwrap() <= 0.0
    })
    .await;
    session(&world, secret, "AWSCURRENT").await.unwrap();
}

#[tokio::test]
async fn a_rollback_works_if_awscurrent_does_not_log_in() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let by_hand = format!("ALTER ROLE {} PASSWORD 'by hand'", clone(&world));
    execute(&world, &by_hand).await;
    assert_rejected(session(&world, secret, "AWSCURRENT").await);
    rollback(&world, secret).await.unwrap();
    session(&world, secret, "AWSCURRENT").await.unwrap();
}

/// The first label that a rollback moves: AWSPENDING if the rotation left it, else AWSCURRENT.
const FIRST_LABEL: [Promotion; 2] = [Promotion::KeepsPending, Promotion::DropsPending];

#[tokio::test]
async fn a_rollback_that_cannot_move_a_label_leaves_both_users_valid_and_can_be_repeated() {
    for promotion in FIRST_LABEL {
        let world = world_where(promotion).await;
        let secret = world.alternating_users();
        assert!(rotate(&world, secret).await.succeeded);
        let before = common::labels(&world, secret).await;
        inject(
            &world,
            "UpdateSecretVersionStage",
            answers("InvalidRequestException"),
        );
        let error = rollback(&world, secret).await.unwrap_err();
        assert_eq!(error.error_type, "StoreRefused", "{error}");
        assert_eq!(common::labels(&world, secret).await, before);
        for label in ["AWSCURRENT", "AWSPREVIOUS"] {
            session(&world, secret, label).await.unwrap();
        }
        assert_eq!(seconds_left(&world, &clone(&world)).await, None);

        rollback(&world, secret).await.unwrap();
        session(&world, secret, "AWSCURRENT").await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_answer_does_not_make_a_rollback_fail() {
    for promotion in FIRST_LABEL {
        let world = world_where(promotion).await;
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        assert!(rotate(&world, secret).await.succeeded);
        let lost = Behavior::Drop(When::AfterEffect);
        inject(&world, "UpdateSecretVersionStage", lost);
        rollback(&world, secret).await.unwrap();
        assert_eq!(current(&world, secret).await["username"], base);
        session(&world, secret, "AWSCURRENT").await.unwrap();
        assert!(seconds_left(&world, &clone(&world)).await.is_some());
    }
}

#[tokio::test]
async fn a_version_that_is_stored_just_before_the_labels_move_stays_current_and_gets_no_end() {
    let world = world_where(Promotion::DropsPending).await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let hang = Hang::default();
    let moves = Behavior::Hang(When::BeforeEffect, hang.clone());
    inject(&world, "UpdateSecretVersionStage", moves);
    let same = current(&world, secret).await;
    let (rolled_back, ()) = tokio::join!(rollback(&world, secret), async {
        hang.reached().await;
        put(&world, secret, &same).await;
        hang.release();
    });
    let error = rolled_back.unwrap_err();
    assert_eq!(error.error_type, "StoreRefused", "{error}");
    assert_eq!(current(&world, secret).await, same);
    assert_eq!(seconds_left(&world, &clone(&world)).await, None);
}

#[tokio::test]
async fn a_late_finishsecret_does_not_make_the_version_current_again() {
    for promotion in Promotion::ALL {
        let world = world_where(promotion).await;
        let (secret, base) = (world.alternating_users(), world.alternating_role());
        stage_up_to(&world, secret, "finishSecret").await;
        outcome(&world, secret, "finishSecret").await;
        rollback(&world, secret).await.unwrap();
        fails(&world, secret, "finishSecret").await;
        assert_eq!(current(&world, secret).await["username"], base);
        assert_eq!(seconds_left(&world, base).await, None);
    }
}

/// A fault is injected into the next call, so earlier calls hang too, and go on at once.
fn hang_at(world: &World, operation: &str, call: usize, when: When) -> Hang {
    let (released, hang) = (Hang::default(), Hang::default());
    released.release();
    for _ in 1..call {
        inject(world, operation, Behavior::Hang(when, released.clone()));
    }
    inject(world, operation, Behavior::Hang(when, hang.clone()));
    hang
}

#[tokio::test]
async fn after_a_kill_in_any_call_of_a_rollback_awscurrent_logs_in_and_the_next_rotation_works() {
    for (operation, call) in [
        ("DescribeSecret", 1),
        ("GetSecretValue", 3),
        ("DescribeSecret", 2),
        ("DescribeSecret", 3),
        ("UpdateSecretVersionStage", 1),
        ("UpdateSecretVersionStage", 2),
    ] {
        for when in [When::BeforeEffect, When::AfterEffect] {
            let case = format!("{operation} {call}, {when:?}");
            let world = world().await;
            let secret = world.alternating_users();
            assert!(rotate(&world, secret).await.succeeded);
            let hang = hang_at(&world, operation, call, when);
            let (killed, ()) = tokio::join!(rollback(&world, secret), async {
                hang.reached().await;
                world.function().kill().await;
            });
            let error = killed.unwrap_err();
            assert_eq!(error.error_type, "Runtime.ExitError", "{case}");
            for label in ["AWSCURRENT", "AWSPREVIOUS"] {
                let login = session(&world, secret, label).await;
                assert!(login.is_ok(), "{case}: {label}");
            }
            assert!(rotate(&world, secret).await.succeeded, "{case}");
            let login = session(&world, secret, "AWSCURRENT").await;
            assert!(login.is_ok(), "{case}, rotated");
        }
    }
}

/// Its cache lives longer than the test: only a notification makes it change over.
#[tokio::test]
async fn no_request_fails_during_a_rollback_and_a_notification_makes_the_client_follow() {
    let world = world().await;
    let secret = world.alternating_users();
    let access = Access::in_world(&world, secret);
    let application = Application::start(&access, &workload(LONG, true)).await;
    let application = application.unwrap();
    for change in ["none", "rotation", "rollback", "rotation"] {
        let set = match change {
            "none" => SystemTime::UNIX_EPOCH,
            _ => SystemTime::now(),
        };
        match change {
            "rotation" => assert!(rotate(&world, secret).await.succeeded),
            "rollback" => drop(rollback(&world, secret).await.unwrap()),
            _ => {}
        }
        let user = current(&world, secret).await["username"].clone();
        let user = user.as_str().unwrap().to_owned();
        let (version, since) = (Version { user, set }, SystemTime::now());
        until(&format!("{change}: all use {version:?}"), async || {
            assert_eq!(application.failures(), 0, "{:#?}", application.summaries());
            application.all_use(&version, since)
        })
        .await;
    }
}

#[tokio::test]
async fn while_a_rotation_is_in_flight_nothing_is_rolled_back() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    stage_up_to(&world, secret, "setSecret").await;
    let error = refused(&world, secret).await;
    assert_error(&error, "RotationInFlight", "let it end");
    session(&world, secret, "AWSPREVIOUS").await.unwrap();
}

#[tokio::test]
async fn a_single_user_has_no_password_to_go_back_to() {
    let world = world().await;
    let secret = world.single_user();
    assert!(rotate(&world, secret).await.succeeded);
    let error = refused(&world, secret).await;
    assert_error(&error, "RollbackUnsupported", "rotate");
    session(&world, secret, "AWSCURRENT").await.unwrap();
}

#[tokio::test]
async fn an_api_key_is_not_rolled_back() {
    let world = start(options().with_key_service()).await;
    let secret = world.api_key();
    assert!(rotate(&world, secret).await.succeeded);
    let error = refused(&world, secret).await;
    assert_error(&error, "RollbackUnsupported", "rotate");
}

#[tokio::test]
async fn before_the_first_rotation_there_is_nothing_to_go_back_to() {
    let world = world().await;
    let error = refused(&world, world.alternating_users()).await;
    assert_error(&error, "NoPreviousVersion", "store");
}

#[tokio::test]
async fn an_awsprevious_for_the_same_user_cannot_be_restored() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let mut again = current(&world, secret).await;
    again["note"] = "written once more by hand".into();
    put(&world, secret, again).await;
    let error = refused(&world, secret).await;
    assert_error(&error, "PreviousSameUser", "PutSecretValue");
}

#[tokio::test]
async fn when_the_window_of_awsprevious_is_over_nothing_is_rolled_back() {
    let world = start(options_with(&[("OVERLAP_WINDOW", "0s")])).await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let error = refused(&world, secret).await;
    assert_error(&error, "PreviousRejected", "rotate");
}

#[tokio::test]
async fn a_revoked_version_does_not_become_current_again() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    revoke(&world, secret).await.unwrap();
    let error = refused(&world, secret).await;
    assert_error(&error, "PreviousRejected", "rotate");
    assert_rejected(session(&world, secret, "AWSPREVIOUS").await);
}

#[tokio::test]
async fn nothing_is_sent_to_another_server_that_a_version_names() {
    let world = world().await;
    let secret = world.alternating_users();
    let mut elsewhere = current(&world, secret).await;
    elsewhere["host"] = "elsewhere.example".into();
    let good = current(&world, secret).await;
    put(&world, secret, elsewhere).await;
    put(&world, secret, good).await;
    let error = refused(&world, secret).await;
    assert_error(&error, "AnotherServer", "host");
}

/// Not even for VERIFY_SQL: AWSCURRENT's role may have NOLOGIN, or no connection left.
#[tokio::test]
async fn a_rollback_works_with_verify_sql_if_awscurrent_does_not_log_in() {
    for broken in ["NOLOGIN", "CONNECTION LIMIT 0"] {
        let world = start(options_with(&[("VERIFY_SQL", "SELECT 1")])).await;
        let secret = world.alternating_users();
        assert!(rotate(&world, secret).await.succeeded);
        execute(&world, &format!("ALTER ROLE {} {broken}", clone(&world))).await;
        rollback(&world, secret).await.unwrap();
        session(&world, secret, "AWSCURRENT").await.unwrap();
    }
}

/// AWSPREVIOUS keeps its password.
#[tokio::test]
async fn a_rollback_breaks_no_promise_and_does_not_warn() {
    let world = world().await;
    let secret = world.alternating_users();
    assert!(rotate(&world, secret).await.succeeded);
    let event = json!({ "Step": "rollbackSecret", "SecretId": common::arn(&world, secret) });
    let invoked = world.function().invoke(event).await;
    invoked.outcome.unwrap();
    let log = invoked.log.join("\n");
    assert!(!log.contains("PromiseBroken"), "{log}");
}
