//! A change of a role, on a real server: pinned against what the role's owner sets, only while it is wanted, and only on the
//! right server.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod fence;
mod pin;
mod pooler;
mod server;

use common::{
    TOKEN, administrator, ask, assert_error, call, current, execute, fails, failure, invoke,
    log_in, options, options_with, outcome, put, revoke, rotate, snapshot, stage, stage_up_to,
    start, version, warm_world, world,
};
use local::{
    postgres::{Postgres, Settings},
    world::World,
};
use serde_json::{Value, json};

/// Rotates both secrets, each of which has to log in afterwards.
async fn both_rotate(world: &World) {
    for secret in [world.single_user(), world.alternating_users()] {
        let rotation = rotate(world, secret).await;
        assert!(rotation.succeeded, "{secret}: {rotation:?}");
        log_in(world, &current(world, secret).await).await.unwrap();
    }
}
