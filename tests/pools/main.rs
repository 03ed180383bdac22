//! A pool's connections when the secret changes, in each of the pools.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod asked;
mod changeover;
mod crowded;
mod drivers;
mod interrupted;
mod leaving;
mod limits;
mod panics;
mod rejected;
mod revoked;

use std::{error::Error, time::Duration};

use common::{ask, execute, put, rotate, until, world};
use drivers::Pool;
use local::world::World;
use rotating_secret::{
    RotatingSecret, pool,
    provider::{Aws, Fixed, Version},
};
use serde_json::json;
use sqlx::{
    Describe, Executor, SqlSafeStr,
    postgres::{PgConnectOptions, PgPoolOptions},
};

async fn alternating(world: &World) -> RotatingSecret {
    let provider = Aws::from_clients([world.aws()]);
    RotatingSecret::builder(world.alternating_users())
        .build(provider)
        .await
        .unwrap()
}

/// Rotates, and refreshes the secret.
async fn change(world: &World, secret: &RotatingSecret) {
    assert!(rotate(world, world.alternating_users()).await.succeeded);
    secret.refresh().await.unwrap();
}

/// The number of these server processes that still run.
async fn alive(world: &World, pids: &[i32]) -> i64 {
    let question = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(ARRAY{pids:?})");
    ask(world, &question).await
}

async fn are_gone(world: &World, pids: &[i32], name: &str) {
    let what = format!("{name}: connections of the old version are gone");
    until(&what, async || alive(world, pids).await == 0).await;
}

#[tokio::test]
async fn idle_connections_of_the_old_version_leave_at_the_change() {
    let world = world().await;
    let secret = alternating(&world).await;
    let pools = Pool::all(&world, &secret).await;
    let mut old = Vec::new();
    for pool in &pools {
        old.push(pool.fill().await);
    }
    change(&world, &secret).await;
    for (pool, pids) in pools.iter().zip(&old) {
        are_gone(&world, pids, pool.name()).await;
    }
}

#[tokio::test]
async fn a_connection_in_use_is_not_cut_and_closes_when_it_is_returned() {
    let world = world().await;
    let secret = alternating(&world).await;
    let pools = Pool::all(&world, &secret).await;
    let mut in_use = Vec::new();
    for pool in &pools {
        let mut connection = pool.get().await.unwrap();
        connection.run("BEGIN; CREATE TEMPORARY TABLE half_done (answer int) ON COMMIT DROP; INSERT INTO half_done VALUES (42)").await;
        in_use.push((pool.name(), connection.pid().await, connection));
    }
    for _ in 0..2 {
        change(&world, &secret).await;
    }
    for (name, pid, mut connection) in in_use {
        assert_eq!(
            connection.number("SELECT answer FROM half_done").await,
            42,
            "{name}"
        );
        connection.run("COMMIT").await;
        assert_eq!(alive(&world, &[pid]).await, 1, "{name}");
        drop(connection);
        are_gone(&world, &[pid], name).await;
    }
}

#[tokio::test]
async fn a_connection_of_the_current_version_is_used_again() {
    let world = world().await;
    let secret = alternating(&world).await;
    for pool in Pool::all(&world, &secret).await {
        let before = pool.fill().await;
        secret.refresh().await.unwrap();
        for _ in 0..8 {
            let pid = pool.get().await.unwrap().pid().await;
            assert!(
                before.contains(&pid),
                "{}: {pid} is none of {before:?}",
                pool.name()
            );
        }
    }
}

#[tokio::test]
async fn the_first_rejected_login_finds_a_password_that_was_changed_by_hand() {
    let world = world().await;
    let (id, role) = (world.single_user(), world.role());
    let provider = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder(id).build(provider).await.unwrap();
    for (number, pool) in Pool::all(&world, &secret).await.into_iter().enumerate() {
        let password = format!("by-hand-{number}");
        execute(&world, &format!("ALTER ROLE {role} PASSWORD '{password}'")).await;
        let document = common::document_with(&world, "password", json!(password)).await;
        put(&world, id, document).await;
        assert!(pool.get().await.unwrap().pid().await > 0, "{}", pool.name());
    }
}

#[tokio::test]
async fn the_pools_own_error_says_why_it_cannot_connect() {
    let world = world().await;
    let version = Version::text("v1", r#"{"username":"orders","password":"x"}"#);
    let provider = Fixed::new().with("orders/db", version);
    let secret = RotatingSecret::builder("orders/db")
        .build(provider)
        .await
        .unwrap();
    let tls = world.tls().unwrap();
    let pool = pool::deadpool::pool(&secret, tls.clone(), |pool| pool);
    let error = all_causes(&pool.unwrap_err());
    assert!(error.contains("has no host"), "{error}");
    let pool = pool::bb8::pool(&secret, tls, |pool| pool).await;
    let error = all_causes(&pool.unwrap_err());
    assert!(error.contains("has no host"), "{error}");
    let options = PgConnectOptions::new_without_pgpass();
    let error = pool::sqlx::pool(&secret, options, PgPoolOptions::new())
        .await
        .unwrap_err();
    assert!(all_causes(&error).contains("has no host"), "{error}");
}

fn all_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn queries_and_transactions_accept_the_sqlx_pool_like_sqlxs_own() {
    let world = world().await;
    let secret = alternating(&world).await;
    let [_, _, Pool::Sqlx(pool)] = Pool::all(&world, &secret).await else {
        panic!("no sqlx")
    };
    sqlx::query("INSERT INTO stock VALUES (1, 'one'), (2, 'two')")
        .execute(&pool)
        .await
        .unwrap();
    let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, item FROM stock ORDER BY id")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(rows, [(1, "one".to_owned()), (2, "two".to_owned())]);
    let mut transaction = sqlx::Acquire::begin(&pool).await.unwrap();
    sqlx::query("DELETE FROM stock")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM stock")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 2);
}

#[tokio::test]
async fn a_query_can_be_described_with_the_pool_as_with_sqlxs_own() {
    let world = world().await;
    let secret = alternating(&world).await;
    let [.., Pool::Sqlx(pool)] = Pool::all(&world, &secret).await else {
        unreachable!("the last one is sqlx's");
    };
    let sql = || "SELECT 1::int8 AS stock".into_sql_str();
    let described = pool.describe(sql()).await.unwrap();
    let own = (&pool.inner()).describe(sql()).await.unwrap();
    let columns = |of: &Describe<sqlx::Postgres>| format!("{:?}", of.columns());
    assert_eq!(columns(&described), columns(&own));
    assert!(columns(&described).contains("stock"));
}

#[tokio::test]
async fn a_pool_does_not_keep_the_secret_alive_once_it_is_dropped() {
    use tokio_stream::StreamExt;
    let world = world().await;
    let secret = alternating(&world).await;
    let pools = Pool::all(&world, &secret).await;
    for pool in &pools {
        pool.fill().await;
    }
    let mut changes = secret.changes();
    drop((pools, secret));
    let ended = tokio::time::timeout(Duration::from_secs(60), changes.next()).await;
    assert_eq!(ended.unwrap(), None);
}
