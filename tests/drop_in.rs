//! Drop-in: a rotation that AWS's function began is ended here, and one that began here is ended by AWS's.
//!
//! AWS's functions are stood in for by what they do to the secret and to the server, as their published sources
//! have it: the same calls, the same statements.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{STEPS, TOKEN, invoke, stored};
use local::world::World;
use serde_json::{Value, json};

/// What AWS's function does in a step.
async fn awss_step(world: &World, secret: &str, step: &str) {
    let service = world.secrets_manager();
    let read = async |label: &str| -> Option<Value> {
        serde_json::from_str(&stored(service, secret, label).await?).unwrap()
    };
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
                "SecretId": secret, "ClientRequestToken": TOKEN, "SecretString": document.to_string(),
                "VersionStages": ["AWSPENDING"]
            });
            service.call("PutSecretValue", input).await.unwrap();
        }
        "setSecret" => {
            let (current, pending) = (
                read("AWSCURRENT").await.unwrap(),
                read("AWSPENDING").await.unwrap(),
            );
            let (user, password) = (text(&pending, "username"), text(&pending, "password"));
            let quoted = password.replace('\'', "''");
            let exists = format!("SELECT 1 FROM pg_roles WHERE rolname = '{user}'");
            let client = world.postgres().superuser_client().await.unwrap();
            if client.query_opt(&exists, &[]).await.unwrap().is_none() {
                let base = text(&current, "username");
                let sql = format!(
                    "CREATE USER {user} WITH LOGIN PASSWORD '{quoted}'; GRANT {base} TO {user}"
                );
                client.batch_execute(&sql).await.unwrap();
                // AWS's administrator made the role, so it may alter it
                let admin = format!(
                    "GRANT {user} TO admin_of_{} WITH ADMIN OPTION",
                    world.role()
                );
                client.batch_execute(&admin).await.unwrap();
            } else {
                client
                    .batch_execute(&format!("ALTER USER {user} WITH PASSWORD '{quoted}'"))
                    .await
                    .unwrap();
            }
        }
        "testSecret" => {
            let pending = read("AWSPENDING").await.unwrap();
            let (user, password) = (text(&pending, "username"), text(&pending, "password"));
            let client = world
                .postgres()
                .connect(&user, &password, world.dbname())
                .await
                .unwrap();
            client.query_one("SELECT NOW()", &[]).await.unwrap();
        }
        _ => {
            let labels = common::labels(world, secret).await;
            let (current, _) = labels
                .iter()
                .find(|(_, labels)| labels.contains(&"AWSCURRENT".to_owned()))
                .unwrap();
            if current != TOKEN {
                let input = json!({
                    "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": TOKEN, "RemoveFromVersionId": current
                });
                service
                    .call("UpdateSecretVersionStage", input)
                    .await
                    .unwrap();
            }
        }
    }
}

async fn assert_finished(world: &World, secret: &str, case: &str) {
    let document: Value = serde_json::from_str(
        &stored(world.secrets_manager(), secret, "AWSCURRENT")
            .await
            .unwrap(),
    )
    .unwrap();
    assert!(
        common::labels(world, secret).await[TOKEN].contains(&"AWSCURRENT".to_owned()),
        "{case}"
    );
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    let login = world
        .postgres()
        .connect(&text("username"), &text("password"), world.dbname())
        .await;
    assert!(login.is_ok(), "{case}: AWSCURRENT does not log in");
}

#[tokio::test]
async fn what_awss_function_began_is_ended_here_at_any_step_in_both_strategies() {
    for handed_over_after in 1..4 {
        let world = common::world().await;
        for secret in [world.single_user(), world.alternating_users()] {
            let case = format!(
                "{secret}, handed over after {}",
                STEPS[handed_over_after - 1]
            );
            world.secrets_manager().stage(secret, TOKEN).unwrap();
            for step in &STEPS[..handed_over_after] {
                awss_step(&world, secret, step).await;
            }
            for step in &STEPS[handed_over_after..] {
                invoke(&world, secret, step)
                    .await
                    .outcome
                    .unwrap_or_else(|error| panic!("{case}: {error}"));
            }
            assert_finished(&world, secret, &case).await;
            assert!(
                common::rotate(&world, secret).await.succeeded,
                "{case}: the next rotation"
            );
        }
    }
}

#[tokio::test]
async fn what_began_here_is_ended_by_awss_function_at_any_step_in_both_strategies() {
    for handed_over_after in 1..4 {
        let world = common::world().await;
        for secret in [world.single_user(), world.alternating_users()] {
            let case = format!(
                "{secret}, handed over after {}",
                STEPS[handed_over_after - 1]
            );
            world.secrets_manager().stage(secret, TOKEN).unwrap();
            for step in &STEPS[..handed_over_after] {
                invoke(&world, secret, step)
                    .await
                    .outcome
                    .unwrap_or_else(|error| panic!("{case}: {error}"));
            }
            for step in &STEPS[handed_over_after..] {
                awss_step(&world, secret, step).await;
            }
            assert_finished(&world, secret, &case).await;
        }
    }
}
