//! Keys of an outside service rotate: no request fails, and no key is left over. The real function, and a service that allows two
//! keys.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod answers;
mod cut;
mod fuzz;
mod held;
mod hostile;
mod keys;
mod masters;
mod refused;

use std::{io::Write, time::Duration};

use common::{options_with, put, rotate, start, warm};
use local::{
    key_service::{KeyService, Recorder, Seen, User},
    secrets_manager::Rotation,
    world::{Options, World},
};
use rotating_secret::{RotatingSecret, provider::Aws};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

/// A world with a service whose account has one key, which was made by hand; `overlap` is the function's window.
async fn world(overlap: &str) -> World {
    start(options(overlap)).await
}

fn options(overlap: &str) -> Options {
    let variables = [("OVERLAP_WINDOW", overlap), ("LOG_LEVEL", "TRACE")];
    options_with(&variables).with_key_service()
}

fn service(world: &World) -> &KeyService {
    world.key_service().unwrap()
}

/// The function trusts the service's certificate. It reads its roots before its first request.
fn trust(world: &World, other: &Recorder) {
    let ca_file = std::fs::OpenOptions::new()
        .append(true)
        .open(world.ca_file());
    ca_file.unwrap().write_all(other.ca().as_bytes()).unwrap();
}

/// The document of the version with this label.
async fn document(world: &World, label: &str) -> Option<Value> {
    common::document(world, world.api_key(), label).await
}

/// The id of the key in the version with this label.
async fn key(world: &World, label: &str) -> Option<String> {
    let document = document(world, label).await?;
    Some(document["key_id"].as_str().unwrap().to_owned())
}

/// Stores the current document with one field replaced.
async fn edit(world: &World, edit: impl FnOnce(&mut Value)) {
    let mut document = document(world, "AWSCURRENT").await.unwrap();
    edit(&mut document);
    put(world, world.api_key(), document).await;
}

/// The type and the message of the last attempt's error.
fn error(rotation: &Rotation) -> (String, String) {
    assert!(!rotation.succeeded);
    let last = rotation
        .attempts
        .last()
        .and_then(|attempt| attempt.steps.last());
    let error = last.unwrap().invoked.outcome.as_ref().unwrap_err();
    (error.error_type.clone(), error.error_message.clone())
}

/// Whether the service has the current key, the previous one if `previous`, and no other.
async fn assert_no_orphan(world: &World, previous: bool, case: &str) {
    let mut needed = vec![key(world, "AWSCURRENT").await.unwrap()];
    if previous {
        needed.insert(0, key(world, "AWSPREVIOUS").await.unwrap());
    }
    assert_eq!(service(world).keys(), needed, "{case}");
}

#[tokio::test]
async fn no_request_of_the_application_fails_during_five_rotations() {
    let world = world("1s").await;
    let secret = RotatingSecret::builder(world.api_key())
        .overlap_window(Duration::from_secs(1))
        .ttl(Duration::from_millis(300))
        .build(Aws::from_clients([world.aws()]))
        .await
        .unwrap();
    let user = User::start(service(&world), &secret, 4, Duration::from_millis(5)).unwrap();
    let all = async |is_so: &dyn Fn(&Seen) -> bool| {
        while !user.seen().iter().all(is_so) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let by_hand = key(&world, "AWSCURRENT").await.unwrap();
    all(&|seen| seen.key == by_hand).await;
    let mut keys = vec![by_hand];
    for _ in 0..5 {
        assert!(rotate(&world, world.api_key()).await.succeeded);
        let overlap_ends = Instant::now() + Duration::from_secs(1);
        let current = key(&world, "AWSCURRENT").await.unwrap();
        assert!(!keys.contains(&current));
        assert_no_orphan(&world, true, "after a rotation").await;
        all(&|seen| seen.key == current).await;
        keys.push(current);
        sleep_until(overlap_ends).await;
    }
    all(&|seen| seen.served > 100).await;
    let seen = user.seen();
    drop(user);
    for seen in seen {
        assert_eq!((seen.failed, seen.first_failure), (0, None));
    }
    assert_eq!(
        service(&world).refused(),
        0,
        "no key was used after its end"
    );
}

#[tokio::test]
async fn a_rotation_changes_only_the_key_and_the_overlap_in_the_document() {
    let world = world("90s").await;
    edit(&world, |document| document["mine"] = json!([1.50, "x"])).await;
    let before = document(&world, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, world.api_key()).await.succeeded);
    let mut after = document(&world, "AWSCURRENT").await.unwrap();
    for field in ["key", "key_id"] {
        assert_ne!(before[field], after[field]);
        after[field] = before[field].clone();
    }
    assert_eq!(
        after.as_object_mut().unwrap().remove("overlap_seconds"),
        Some(json!(90))
    );
    assert_eq!(before.to_string(), after.to_string());
}

#[tokio::test]
async fn a_rotation_costs_11_calls_and_1_login_or_16_and_2_where_each_step_has_a_new_process() {
    for (options, calls, logins) in [
        (warm(options("unbounded")), 11, 1),
        (options("unbounded"), 16, 2),
    ] {
        let world = start(options).await;
        assert!(rotate(&world, world.api_key()).await.succeeded);
        let before = world.secrets_manager().calls().len();
        let rotation = rotate(&world, world.api_key()).await;
        assert_eq!(world.secrets_manager().calls().len() - before, calls);
        let steps = &rotation.attempts[0].steps;
        let lines = steps.iter().flat_map(|run| &run.invoked.log);
        let tried = lines
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter_map(|line| line["connections"].as_u64());
        assert_eq!(tried.sum::<u64>(), logins);
    }
}

#[tokio::test]
async fn neither_the_master_secret_nor_a_key_is_in_a_log_line_or_an_error() {
    let world = world("1h").await;
    let master = service(&world).master()["key"].as_str().unwrap().to_owned();
    let mut secrets = vec![master];
    let mut seen = String::new();
    for _ in 0..2 {
        for label in ["AWSCURRENT", "AWSPENDING"] {
            if let Some(document) = document(&world, label).await {
                secrets.push(document["key"].as_str().unwrap().to_owned());
            }
        }
        let rotation = rotate(&world, world.api_key()).await;
        for run in rotation.attempts.iter().flat_map(|attempt| &attempt.steps) {
            seen.push_str(&run.invoked.log.join("\n"));
            seen.push_str(&format!("{:?}", run.invoked.outcome));
        }
    }
    assert!(secrets.len() >= 3);
    assert!(
        seen.contains("\"outcome\":\"promoted\"") && seen.contains("TooManyKeys"),
        "{seen}"
    );
    for secret in secrets {
        assert!(!seen.contains(&secret));
    }
}
