//! `rotatectl init` against the local world.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod again;
mod early;
mod fresh;
mod host;
mod pooler;
mod refuses;
mod rights;
mod secrecy;

use std::process::{Child, Command, Stdio};

use common::{call, called, command, log_in, stored, until_asked};
use local::world::World;
use serde_json::{Value, json};

/// The new secret's name.
const NEW: &str = "app/db";

/// A role that nobody else on the tests' server has.
fn new_role(world: &World) -> String {
    format!("app_of_{}", world.role())
}

/// The arguments of a run that asks nothing.
fn arguments<'a>(world: &World, role: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let administrator = ["--administrator", world.admin(), "--yes"];
    [&["init", NEW, "--username", role], &administrator[..], more].concat()
}

fn init(world: &World, role: &str, more: &[&str]) -> Command {
    command(world, &arguments(world, role, more))
}

/// A command that runs while the test does something else.
fn begun(mut command: Command) -> Child {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped());
    piped.stderr(Stdio::piped()).spawn().unwrap()
}

/// Ends it at once, as a machine that is switched off.
fn cut_off(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

/// What AWSCURRENT says; none where there is no such secret.
async fn current(world: &World) -> Option<Value> {
    stored(world, NEW, "AWSCURRENT").await
}

async fn describe(world: &World) -> Value {
    call(world, "DescribeSecret", json!({ "SecretId": NEW })).await
}

/// There is one version, and the server lets it in.
async fn assert_logs_in(world: &World) {
    let document = current(world).await.unwrap();
    log_in(world, &document).await.unwrap();
}

/// What the server keeps of a role's password; none where there is no such role.
async fn verifier(world: &World, role: &str) -> Option<String> {
    let client = world.postgres().superuser_client().await.unwrap();
    let question = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1";
    let row = client.query_opt(question, &[&role]).await.unwrap()?;
    row.get(0)
}

/// Nothing was stored, and the server has no such role.
async fn assert_nothing_was_made(world: &World, role: &str) {
    assert_eq!(called(world, "CreateSecret"), 0);
    assert_eq!(current(world).await, None);
    assert_eq!(verifier(world, role).await, None);
}

/// Waits until no version is pending, as after the service has tried testSecret.
async fn settled(world: &World) {
    let over = async || {
        let described = describe(world).await;
        let versions = described["VersionIdsToStages"].as_object().unwrap().len();
        versions == 1 || !described.to_string().contains("AWSPENDING")
    };
    until_asked("no version is pending", over).await;
}
