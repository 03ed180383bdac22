//! Each way to fail: told apart by its `errorType`, with what to do in its message, and nothing changed or lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

#[path = "../common/mod.rs"]
mod common;

mod api;
mod database;
mod document;
mod event;
mod labels;

use common::{TOKEN, document_with, failure, invoke, outcome, snapshot, staged_secret, world};
use local::{
    postgres::{Postgres, Settings},
    secrets_manager::{Behavior, Fault, ServiceError},
    world::World,
};
use serde_json::{Value, json};

/// Invokes the step, and holds what is true of every failure: its kind, a word of its advice, and a
/// state that is what it was.
async fn assert_fails(world: &World, secret: &str, step: &str, error_type: &str, advice: &str) {
    let before = snapshot(world, secret).await;
    let error = failure(world, secret, step).await;
    assert_eq!(error.error_type, error_type, "{error}");
    assert!(error.error_message.contains(advice), "{error}");
    assert_eq!(snapshot(world, secret).await, before, "{error}");
}

/// A secret whose document is the demo's with one key replaced, after its createSecret.
async fn created(world: &World, key: &str, value: Value) -> &'static str {
    let secret = "demo/other";
    staged_secret(world, secret, &document_with(world, key, value).await).await;
    assert_eq!(outcome(world, secret, "createSecret").await, "created");
    secret
}
