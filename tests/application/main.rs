//! A hostile application: it owns its database and its schemas, creates objects in public, sets any parameter, keeps transactions
//! open, takes locks, and begins logins that it ends later. It gains nothing, and blocks no rotation.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod encodings;
mod gains;
mod locks;
mod logins;
mod settings;

use common::{
    administrator, application, ask, assert_error, both_rotate, current, execute, failure,
    in_the_database, invoke, is_bounded, log_in, options, options_with, outcome, release, revoke,
    rotate, stage_up_to, start, world,
};
use local::world::World;
use tokio_postgres::Client;
