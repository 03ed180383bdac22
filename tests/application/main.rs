//! The hostile application: it owns its database and its schemas, creates in public, sets what it likes, keeps transactions open,
//! takes locks, and begins logins that it ends later. It gains nothing by it, and blocks nothing.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

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
