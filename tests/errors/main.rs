//! Every failure: it has its own `errorType`, its message says what to do, and nothing is changed or lost.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod api;
mod database;
mod document;
mod event;
mod labels;

use common::{
    TOKEN, all_steps, answers, ask, assert_error, call, document_with, execute, fails, failure,
    in_the_database, inject, options, options_with, outcome, put_pending, relay::Relay, rotate,
    snapshot, stage, stage_up_to, staged_secret, start, warm_world, world,
};
use local::{
    postgres::{Postgres, Settings},
    secrets_manager::{Behavior, Fault, ServiceError},
    world::World,
};
use serde_json::{Value, json};

/// A secret whose document is the demo's with one key replaced, after its createSecret.
async fn created(world: &World, key: &str, value: Value) -> &'static str {
    let secret = "demo/other";
    staged_secret(world, secret, &document_with(world, key, value).await).await;
    assert_eq!(outcome(world, secret, "createSecret").await, "created");
    secret
}
