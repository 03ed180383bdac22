//! Drop-in: a rotation that AWS's function began is ended here, and one that began here is ended by AWS's.
//!
//! AWS's functions are stood in for by what they do to the secret and to the server, as their published sources
//! have it: the same calls, the same statements.

#![cfg(test)]

mod common;

use common::{
    STEPS, TOKEN, administrator, call, execute, log_in, outcome, put_pending, rotate, stage,
    version, world,
};
use local::world::World;
use serde_json::{Value, json};

/// What AWS's function does in a step.
async fn awss_step(world: &World, secret: &str, step: &str) {
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
            put_pending(world, secret, document).await;
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
            if current != TOKEN {
                let input = json!({
                    "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": TOKEN, "RemoveFromVersionId": current
                });
                call(world, "UpdateSecretVersionStage", input).await;
            }
        }
    }
}

async fn assert_finished(world: &World, secret: &str, case: &str) {
    let current = version(world, secret, "AWSCURRENT").await;
    assert_eq!(current, TOKEN, "{case}");
    let login = log_in(world, &common::current(world, secret).await).await;
    assert!(login.is_ok(), "{case}: AWSCURRENT does not log in");
}

/// What began with one function's steps is ended by the other's, at any step, in both strategies.
async fn handed_over(
    begins: impl AsyncFn(&World, &str, &str),
    ends: impl AsyncFn(&World, &str, &str),
) {
    for handed_over_after in 1..4 {
        let world = world().await;
        for secret in [world.single_user(), world.alternating_users()] {
            let (first, rest) = STEPS.split_at(handed_over_after);
            stage(&world, secret);
            for step in first {
                begins(&world, secret, step).await;
            }
            for step in rest {
                ends(&world, secret, step).await;
            }
            let case = format!("{secret}, handed over after {first:?}");
            assert_finished(&world, secret, &case).await;
            let next = rotate(&world, secret).await;
            assert!(next.succeeded, "{case}: the next rotation");
        }
    }
}

async fn our_step(world: &World, secret: &str, step: &str) {
    outcome(world, secret, step).await;
}

#[tokio::test]
async fn what_awss_function_began_is_ended_here_at_any_step_in_both_strategies() {
    handed_over(awss_step, our_step).await;
}

#[tokio::test]
async fn what_began_here_is_ended_by_awss_function_at_any_step_in_both_strategies() {
    handed_over(our_step, awss_step).await;
}
