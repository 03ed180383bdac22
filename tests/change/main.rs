//! A change of a role, on a real server: independent of what the role's owner sets, only while the rotation is valid, and only on
//! the right server.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod another_form;
mod another_secret;
mod attack;
mod fence;
mod pin;
mod pooler;
mod server;

use common::wire::{message, startup};
use common::{
    TOKEN, administrator, ask, assert_error, both_rotate, call, current, execute, fails, failure,
    in_the_database, invoke, is_bounded, log_in, make_current, options, options_with, outcome, put,
    revoke, rotate, snapshot, stage, stage_up_to, start, version, warm_world, world,
};
use local::{
    postgres::{Postgres, Settings},
    world::World,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io;
use tokio_postgres::Client;
