//! Two users who take turns, on a real server: a real overlap, with an end that PostgreSQL enforces.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

#[path = "../common/mod.rs"]
mod common;

mod administrator;
mod overlap;
mod roles;

use common::{STEPS, TOKEN, failure, labels, outcome, rotate, stored};
use local::{
    postgres::{Postgres, Settings},
    world::World,
};
use serde_json::{Value, json};
use tokio_postgres::Client;

async fn world() -> World {
    common::world().await
}

async fn world_with_window(window: &str) -> World {
    let mut options = common::options();
    options
        .function_env
        .push(("OVERLAP_WINDOW".to_owned(), window.to_owned()));
    World::start(options).await.unwrap()
}

async fn document(world: &World, label: &str) -> Value {
    let text = stored(world.secrets_manager(), world.alternating_users(), label)
        .await
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn log_in(world: &World, document: &Value) -> Result<Client, local::postgres::Error> {
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    world
        .postgres()
        .connect(&text("username"), &text("password"), &text("dbname"))
        .await
}

async fn ask<T: for<'a> tokio_postgres::types::FromSql<'a>>(world: &World, sql: &str) -> T {
    world
        .postgres()
        .superuser_client()
        .await
        .unwrap()
        .query_one(sql, &[])
        .await
        .unwrap()
        .get(0)
}

/// The seconds until a role's password ends; `None` if it does not.
async fn seconds_left(world: &World, role: &str) -> Option<f64> {
    let sql = format!(
        "SELECT extract(epoch FROM nullif(rolvaliduntil, 'infinity') - now())::float8 FROM pg_roles WHERE rolname = '{role}'"
    );
    ask(world, &sql).await
}

async fn put(world: &World, secret: &str, document: &Value) {
    let input = json!({ "SecretId": secret, "SecretString": document.to_string() });
    world
        .secrets_manager()
        .call("PutSecretValue", input)
        .await
        .unwrap();
}
