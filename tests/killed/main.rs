//! The function's real process is killed, and the rotation still succeeds. On a real PostgreSQL.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;
mod everywhere;

use common::{
    STEPS, ask, assert_error, assert_nobody_is_locked_out, current, failure, inject, invoke,
    log_in, logs_in, options, outcome, password, rotate, stage, stage_up_to, start, warm_world,
    world,
};
use local::{
    secrets_manager::{Behavior, Fault, Hang, When},
    world::World,
};

/// What the service does after a failure: all steps again, with the same token.
async fn assert_the_retry_reaches_the_end(world: &World, case: &str) {
    let secret = world.single_user();
    let created = password(world, secret, "AWSPENDING").await;
    for step in STEPS {
        let invoked = invoke(world, secret, step).await;
        assert!(invoked.outcome.is_ok(), "{case}: {:?}", invoked.outcome);
    }
    let current = password(world, secret, "AWSCURRENT").await.unwrap();
    assert!(logs_in(world, &current).await, "{case}");
    if let Some(created) = created {
        assert!(created == current, "{case}: a second password was made");
    }
}

#[tokio::test]
async fn a_rotation_killed_between_two_steps_continues_in_a_new_process() {
    let world = warm_world().await;
    stage(&world, world.single_user());
    for step in STEPS {
        outcome(&world, world.single_user(), step).await;
        world.function().kill().await;
        assert_nobody_is_locked_out(&world, world.single_user(), step).await;
    }
    assert_eq!(world.function().environments(), 4);
    assert_the_retry_reaches_the_end(&world, "after all").await;
}

#[tokio::test]
async fn the_retry_completes_a_rotation_killed_in_any_call_to_the_store() {
    for (step, operation) in [
        ("createSecret", "DescribeSecret"),
        ("createSecret", "PutSecretValue"),
        ("setSecret", "GetSecretValue"),
        ("testSecret", "GetSecretValue"),
        ("finishSecret", "DescribeSecret"),
        ("finishSecret", "UpdateSecretVersionStage"),
    ] {
        for when in [When::BeforeEffect, When::AfterEffect] {
            let case = format!("{step}, {operation}, {when:?}");
            let world = world().await;
            let secret = world.single_user();
            stage_up_to(&world, secret, step).await;
            let hang = Hang::default();
            inject(&world, operation, Behavior::Hang(when, hang.clone()));
            let (invoked, ()) = tokio::join!(invoke(&world, secret, step), async {
                hang.reached().await;
                world.function().kill().await;
            });
            let error = invoked.outcome.unwrap_err();
            assert_eq!(error.error_type, "Runtime.ExitError", "{case}");
            assert_nobody_is_locked_out(&world, world.single_user(), &case).await;
            assert_the_retry_reaches_the_end(&world, &case).await;
        }
    }
}

#[tokio::test]
async fn the_retry_completes_a_rotation_killed_while_the_database_changes_the_password() {
    let world = world().await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;

    // a session that locks the role's row delays ALTER ROLE
    let holder = world.postgres().superuser_client().await.unwrap();
    let role = world.role();
    let sql = format!("BEGIN; ALTER ROLE {role} CONNECTION LIMIT 50");
    holder.batch_execute(&sql).await.unwrap();
    let waits = format!(
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = '{role}' AND wait_event_type = 'Lock'"
    );
    let (invoked, ()) = tokio::join!(invoke(&world, secret, "setSecret"), async {
        while !ask::<bool>(&world, &waits).await {}
        world.function().kill().await;
    });
    assert_eq!(invoked.outcome.unwrap_err().error_type, "Runtime.ExitError");
    assert_nobody_is_locked_out(&world, world.single_user(), "while the change waits").await;
    // the server may run the statement although its client is gone
    holder.batch_execute("COMMIT").await.unwrap();
    assert_the_retry_reaches_the_end(&world, "after the change").await;
}

#[tokio::test]
async fn a_step_delivered_twice_at_once_succeeds_twice_and_changes_the_password_once() {
    for (world, environments) in [(warm_world().await, 2), (world().await, 16)] {
        assert_each_step_can_be_delivered_twice_at_once(&world).await;
        let started = world.function().environments();
        assert_eq!(started, environments, "the two ran side by side");
    }
}

async fn assert_each_step_can_be_delivered_twice_at_once(world: &World) {
    for secret in [world.single_user(), world.alternating_users()] {
        stage(world, secret);
        for step in STEPS {
            let (one, other) =
                tokio::join!(invoke(world, secret, step), invoke(world, secret, step));
            for invoked in [one, other] {
                assert!(
                    invoked.outcome.is_ok(),
                    "{secret}, {step}: {:?}",
                    invoked.outcome
                );
            }
            assert_nobody_is_locked_out(world, secret, step).await;
        }
        let current = current(world, secret).await;
        log_in(world, &current).await.unwrap();
    }
}

#[tokio::test]
async fn a_step_ends_before_lambdas_time_is_up_and_says_so() {
    let mut options = options();
    options.function_timeout = std::time::Duration::from_secs(5);
    let world = start(options).await;
    let secret = world.single_user();
    stage(&world, secret);
    let hang = Behavior::Hang(When::BeforeEffect, Hang::default());
    let hangs = Fault::on("GetSecretValue", hang).times(9);
    world.secrets_manager().inject(hangs);
    let error = failure(&world, secret, "createSecret").await;
    assert_error(&error, "StepTimedOut", "raise the function's timeout");
}

#[tokio::test]
async fn reads_that_lag_behind_the_writes_do_not_break_a_rotation() {
    let world = world().await;
    for (operation, times) in [("GetSecretValue", 4), ("DescribeSecret", 2)] {
        let lags = Fault::on(operation, Behavior::Lag).times(times);
        world.secrets_manager().inject(lags);
    }
    let rotation = rotate(&world, world.single_user()).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let current = current(&world, world.single_user()).await;
    log_in(&world, &current).await.unwrap();
}
