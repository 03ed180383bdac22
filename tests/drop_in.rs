//! Drop-in: a rotation that AWS's function began is ended here, and one that began here is ended by AWS's.
//!
//! In place of AWS's functions, the test makes the same calls and runs the same statements as their published sources.

#![cfg(test)]

mod common;

use common::{STEPS, administrator, call, execute, log_in, rotate, version, world};
use local::world::World;
use serde_json::{Value, json};

/// Does what AWS's function does in a step.
async fn awss_step(world: &World, secret: &str, step: &str, token: &str) {
    let read = async |label: &str| common::document(world, secret, label).await;
    let text = |document: &Value, key: &str| document[key].as_str().unwrap().to_owned();
    match step {
        "createSecret" => {
            if read("AWSPENDING").await.is_some() {
                return;
            }
            let mut document = read("AWSCURRENT").await.unwrap();
            let user = text(&document, "username");
            if document.get("masterarn").is_some() {
                let other = user
                    .strip_suffix("_clone")
                    .map_or(format!("{user}_clone"), str::to_owned);
                document["username"] = other.into();
            }
            document["password"] = format!("by-aws-{}", user.len()).into();
            let input = json!({
                "SecretId": secret, "ClientRequestToken": token, "SecretString": document.to_string(),
                "VersionStages": ["AWSPENDING"],
            });
            call(world, "PutSecretValue", input).await;
        }
        "setSecret" => {
            let (current, pending) = (
                read("AWSCURRENT").await.unwrap(),
                read("AWSPENDING").await.unwrap(),
            );
            let (user, password) = (text(&pending, "username"), text(&pending, "password"));
            let quoted = password.replace('\'', "''");
            let known = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{user}'");
            if common::ask::<i64>(world, &known).await == 0 {
                let (base, admin) = (text(&current, "username"), administrator(world));
                // AWS's administrator made the role, so it may alter it
                let sql = format!(
                    "CREATE USER {user} WITH LOGIN PASSWORD '{quoted}'; GRANT {base} TO {user}; \
                     GRANT {user} TO {admin} WITH ADMIN OPTION"
                );
                execute(world, &sql).await;
            } else {
                let sql = format!("ALTER USER {user} WITH PASSWORD '{quoted}'");
                execute(world, &sql).await;
            }
        }
        "testSecret" => {
            let pending = read("AWSPENDING").await.unwrap();
            let client = log_in(world, &pending).await.unwrap();
            client.query_one("SELECT NOW()", &[]).await.unwrap();
        }
        _ => {
            let current = version(world, secret, "AWSCURRENT").await;
            if current != token {
                let input = json!({
                    "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": token, "RemoveFromVersionId": current
                });
                call(world, "UpdateSecretVersionStage", input).await;
            }
        }
    }
}

async fn our_step(world: &World, secret: &str, step: &str, token: &str) {
    let event = json!({ "Step": step, "SecretId": secret, "ClientRequestToken": token });
    world.function().invoke(event).await.outcome.unwrap();
}

/// One rotation: one function runs the first steps, the other function the rest.
async fn rotation(
    world: &World,
    secret: &str,
    first: usize,
    begins: impl AsyncFn(&World, &str, &str, &str),
    ends: impl AsyncFn(&World, &str, &str, &str),
) {
    let token = uuid::Uuid::new_v4().to_string();
    world.secrets_manager().stage(secret, &token).unwrap();
    for (number, step) in STEPS.into_iter().enumerate() {
        match number < first {
            true => begins(world, secret, step, &token).await,
            false => ends(world, secret, step, &token).await,
        }
    }
    assert_eq!(version(world, secret, "AWSCURRENT").await, token);
}

/// AWSCURRENT logs in now. If the last step was ours, it also logs in after every overlap window.
async fn assert_is_current(world: &World, secret: &str, ours_was_last: bool, case: &str) {
    let current = common::current(world, secret).await;
    let login = log_in(world, &current).await;
    assert!(login.is_ok(), "{case}: AWSCURRENT does not log in");
    let question = format!(
        "SELECT coalesce(isfinite(rolvaliduntil), false) FROM pg_roles WHERE rolname = '{}'",
        current["username"].as_str().unwrap()
    );
    let ends = common::ask::<bool>(world, &question).await;
    assert!(!(ends && ours_was_last), "{case}: AWSCURRENT has an end");
}

/// One rotation of ours, then two that are handed over at any step: both find a `VALID UNTIL` that we set.
async fn handed_over(
    ours_is_last: bool,
    begins: impl AsyncFn(&World, &str, &str, &str) + Copy,
    ends: impl AsyncFn(&World, &str, &str, &str) + Copy,
) {
    let world = world().await;
    for secret in [world.single_user(), world.alternating_users()] {
        for second in 0..=4 {
            for third in 0..=4 {
                let case = format!("{secret}, handed over after {second} steps and after {third}");
                assert!(rotate(&world, secret).await.succeeded, "{case}");
                for first in [second, third] {
                    rotation(&world, secret, first, begins, ends).await;
                    let ours_was_last = ours_is_last != (first == 4);
                    assert_is_current(&world, secret, ours_was_last, &case).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_rotation_of_awss_function_is_completed_here_from_any_step_in_both_strategies() {
    handed_over(true, awss_step, our_step).await;
}

#[tokio::test]
async fn a_rotation_of_this_function_is_completed_by_awss_from_any_step_in_both_strategies() {
    handed_over(false, our_step, awss_step).await;
}

/// docs/migration.md: AWS's function removes no `VALID UNTIL`, so our last rotation leaves none.
#[tokio::test]
async fn the_way_back_to_awss_function_is_one_rotation_without_an_end() {
    let world = world().await;
    let secret = world.alternating_users();
    for _ in 0..2 {
        assert!(rotate(&world, secret).await.succeeded);
    }
    let mut document = common::current(&world, secret).await;
    document["overlap"] = "unbounded".into();
    common::put(&world, secret, document).await;
    assert!(rotate(&world, secret).await.succeeded);
    let ends = format!(
        "SELECT count(*) FROM pg_roles WHERE rolname LIKE '{}%' AND isfinite(rolvaliduntil)",
        world.alternating_role()
    );
    assert_eq!(common::ask::<i64>(&world, &ends).await, 0);
    for _ in 0..3 {
        rotation(&world, secret, 0, awss_step, awss_step).await;
        assert_is_current(&world, secret, true, "AWS's function").await;
    }
}
