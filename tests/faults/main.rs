//! Faults of the world, each on demand, with the known outcome for a rotation and for an application. docs/verification.md lists
//! these and the faults that other tests show.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod connections;
mod descriptors;
mod failover;
mod freeze;
mod restart;

use std::process::Command;

use common::{
    STEPS, administrator, all_steps, ask, assert_error, assert_nobody_is_locked_out,
    change_documents, current, document, fails, failure, invoke, log_in, options, outcome, proxy,
    put, relay, rotate, stage_up_to, start, until, warm,
};
use local::{
    invocation::FunctionError,
    postgres::{Postgres, Settings},
    world::World,
};
use relay::Relay;
use serde_json::{Value, json};

/// Runs a line of shell, which must succeed.
#[track_caller]
fn shell(line: &str) {
    let status = Command::new("/bin/sh").args(["-c", line]).status();
    assert!(status.unwrap().success(), "{line}");
}

/// One step of the rotation with this token.
async fn step(
    world: &World,
    secret: &str,
    token: &str,
    step: &str,
) -> Result<Value, FunctionError> {
    let event = json!({ "Step": step, "SecretId": secret, "ClientRequestToken": token });
    world.function().invoke(event).await.outcome
}

/// All secrets of the database now name this port, with TLS or without.
async fn by_port(world: &World, port: u16, tls: bool) {
    change_documents(world, &json!({ "port": port, "ssl": tls })).await;
}
