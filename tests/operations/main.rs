//! Runs the commands, SQL and JSON of docs/operations.md as the page has them, against the local world.
//!
//! The kind of a block decides: `sh` is run, `sh aws` needs AWS itself, `sh example` sets what the test sets, and the test of their
//! section runs the others.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod errors;
mod grants;
mod roles;
mod secrets;

use std::{env, process::Output};

use common::{TOKEN, labels, logs_in, password, rotate, stage, until, world};
use local::{executable, world::World};
use tokio::process::Command;

const PAGE: &str = include_str!("../../docs/operations.md");
/// Kinds of blocks that no test here runs.
const NOT_RUN: [&str; 2] = ["sh aws", "sh example"];

/// All blocks of the page: the kind and the text of each.
fn fenced() -> impl Iterator<Item = (&'static str, &'static str)> {
    let fenced = PAGE.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n'))
}

/// The page's blocks of one kind, in order.
fn blocks(kind: &str) -> Vec<String> {
    fenced()
        .filter(|(head, _)| *head == kind)
        .map(|(_, commands)| commands.to_owned())
        .collect()
}

/// The page's only block of this kind.
fn block(kind: &str) -> String {
    let mut blocks = blocks(kind);
    assert_eq!(blocks.len(), 1, "{kind}: {blocks:#?}");
    blocks.remove(0)
}

/// Runs commands in a new folder, and returns their output.
async fn run(world: &World, secret: &str, commands: &str) -> String {
    let output = output(world, secret, commands).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands}\n{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same, but the commands may fail.
async fn output(world: &World, secret: &str, commands: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let rotatectl = executable::of_tests("--bin", "rotatectl").unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let programs = [rotatectl.parent().unwrap().to_owned()];
    let path = programs.into_iter().chain(env::split_paths(&path));
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(folder.path())
        .env("PATH", env::join_paths(path).unwrap())
        .env("TLS_CA_FILE", world.ca_file())
        .env("SECRET", secret)
        .env("FUNCTION", "secret-rotation")
        .env("ROLE", new_role(world))
        .env("ADMINISTRATOR", world.admin())
        .env("AWS_ENDPOINT_URL", world.endpoint())
        .env("AWS_DEFAULT_REGION", local::world::REGION)
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .output()
        .await
        .unwrap()
}

/// A role that no other test on the server has.
fn new_role(world: &World) -> String {
    format!("new_{}", world.role())
}

/// Waits until no version is pending.
async fn settled(world: &World, secret: &str) {
    let has = |labels: &[String], label: &str| labels.iter().any(|one| one == label);
    let pending = |labels: &Vec<String>| has(labels, "AWSPENDING") && !has(labels, "AWSCURRENT");
    let over = async || !labels(world, secret).await.values().any(pending);
    until("no version is pending", over).await;
}

#[test]
fn every_block_of_the_page_is_run_or_known_not_to_be() {
    for (kind, _) in fenced() {
        let known = [
            "sh",
            "sh init",
            "sh stuck",
            "sh rollback",
            "sh leak",
            "sh compromised",
        ]
        .iter()
        .chain(&NOT_RUN)
        .chain(&roles::KINDS)
        .chain(&secrets::KINDS)
        .any(|known| *known == kind);
        assert!(known, "a block of an unknown kind: {kind:?}");
    }
}

#[tokio::test]
async fn the_pages_commands_work_as_they_are_written() {
    let world = world().await;
    let secret = world.single_user();
    let commands = blocks("sh");
    assert!(commands.len() >= 5, "{commands:#?}");
    let before = password(&world, secret, "AWSCURRENT").await.unwrap();
    for commands in commands {
        run(&world, secret, &commands).await;
        settled(&world, secret).await;
    }
    let after = password(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(before != after && logs_in(&world, &after).await);
}

#[tokio::test]
async fn a_new_secret_is_made_by_the_pages_command() {
    let world = world().await;
    let commands = blocks("sh init");
    assert_eq!(commands.len(), 1);
    run(&world, "new/secret", &commands[0]).await;
    let password = password(&world, "new/secret", "AWSCURRENT").await.unwrap();
    let role = new_role(&world);
    let login = world
        .postgres()
        .connect(&role, &password, world.dbname())
        .await;
    login.unwrap();
}

#[tokio::test]
async fn the_pages_commands_repair_an_abandoned_rotation() {
    let world = world().await;
    let secret = world.single_user();
    stage(&world, secret);
    let commands = blocks("sh stuck");
    assert_eq!(commands.len(), 1);
    run(&world, secret, &commands[0]).await;
    settled(&world, secret).await;
    let now = password(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(logs_in(&world, &now).await);
    let labels = labels(&world, secret).await;
    assert!(
        !labels.contains_key(TOKEN) || labels[TOKEN].is_empty(),
        "{labels:?}"
    );
    assert!(
        labels.values().any(|of| of.contains(&"AWSPREVIOUS".into())),
        "it rotated"
    );
}

#[tokio::test]
async fn after_a_bad_rotation_the_pages_command_makes_the_old_version_current_again() {
    let world = world().await;
    let secret = world.alternating_users();
    let before = password(&world, secret, "AWSCURRENT").await;
    assert!(rotate(&world, secret).await.succeeded);
    let commands = blocks("sh rollback");
    assert_eq!(commands.len(), 1);
    run(&world, secret, &commands[0]).await;
    assert_eq!(password(&world, secret, "AWSCURRENT").await, before);
}

/// The page has so many blocks of this kind, and each ends the leaked password.
async fn assert_ends_the_leak(kind: &str, number: usize) {
    let world = world().await;
    let postgres = world.postgres();
    for (secret, role) in [
        (world.single_user(), world.role()),
        (world.alternating_users(), world.alternating_role()),
    ] {
        let leaked = password(&world, secret, "AWSCURRENT").await.unwrap();
        let login = async || {
            postgres
                .connect(role, &leaked, world.dbname())
                .await
                .is_ok()
        };
        assert!(login().await);
        let commands = blocks(kind);
        assert_eq!(commands.len(), number);
        let said = run(&world, secret, &commands.concat()).await;
        assert!(!said.contains("FunctionError"), "{said}");
        assert!(!login().await, "{secret}: {said}");
    }
}

#[tokio::test]
async fn after_a_leak_the_pages_commands_end_the_old_password() {
    assert_ends_the_leak("sh leak", 2).await;
}

#[tokio::test]
async fn after_a_leak_the_pages_one_command_ends_the_old_password() {
    assert_ends_the_leak("sh compromised", 1).await;
}
