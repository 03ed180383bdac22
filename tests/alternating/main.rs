//! Two users who take turns, on a real server: a real overlap, with an end that PostgreSQL enforces.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod administrator;
mod overlap;
mod roles;

use common::{
    TOKEN, administrator, ask, assert_error, assert_rejected, execute, fails, failure, log_in,
    options_with, outcome, put, put_pending, rotate, seconds_left, stage, stage_up_to, start,
    version, warm_world, world, world_where,
};
use local::{
    postgres::{Postgres, Settings},
    secrets_manager::{Behavior, labels::Promotion},
    world::World,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_postgres::Client;

async fn world_with_window(window: &str) -> World {
    start(options_with(&[("OVERLAP_WINDOW", window)])).await
}

/// The current document.
async fn current_document(world: &World) -> Value {
    common::current(world, world.alternating_users()).await
}

/// A session of the current user.
async fn session(world: &World) -> Client {
    log_in(world, &current_document(world).await).await.unwrap()
}
