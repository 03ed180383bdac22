//! A server that has no room for two pools at once.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use rotating_secret::pool::{self, Settings};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::time::{advance, pause, resume};
use tokio_postgres::Config;

use crate::{
    are_gone,
    changeover::Changing,
    common::{LONG, ask, execute, until},
    drivers::{Pool, at_once},
    interrupted::Gate,
};

/// The pools that keep connections ready by themselves, each with four.
pub(crate) async fn kept_ready(on: &Changing, settings: Settings) -> [Pool; 2] {
    let mut config = Config::new();
    config.application_name(format!("bb8-{}", on.world.role()));
    let tls = on.world.tls().unwrap();
    let bb8 = pool::bb8::pool_with(&on.secret, config, tls, settings, |pool| {
        pool.max_size(4).min_idle(4).connection_timeout(LONG)
    });
    [
        Pool::Bb8(bb8.await.unwrap()),
        sqlx_kept_ready(on, settings).await,
    ]
}

async fn sqlx_kept_ready(on: &Changing, settings: Settings) -> Pool {
    let options = PgConnectOptions::new_without_pgpass()
        .application_name(&format!("sqlx-{}", on.world.role()))
        .ssl_root_cert(on.world.postgres().ca_file());
    let of_four = PgPoolOptions::new()
        .max_connections(4)
        .min_connections(4)
        .acquire_timeout(LONG);
    let sqlx = pool::sqlx::pool_with(&on.secret, options, of_four, settings);
    Pool::Sqlx(sqlx.await.unwrap())
}

/// The role may have so many sessions.
async fn limit(on: &Changing, sessions: u32) {
    let role = on.world.role();
    let limit = format!("ALTER ROLE {role} CONNECTION LIMIT {sessions}");
    execute(&on.world, &limit).await;
}

/// Waits until it has so many.
async fn has_sessions(on: &Changing, count: i64) {
    let role = on.world.role();
    let question = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'");
    let what = format!("{count} sessions");
    until(&what, async || {
        ask::<i64>(&on.world, &question).await == count
    })
    .await;
}

// bb8 and sqlx try again by themselves for as long as a request may take

#[tokio::test]
async fn a_leaving_connection_closes_at_once_if_its_room_is_needed() {
    let on = Changing::start().await;
    let drain = Duration::from_secs(3600);
    // when all still serve, and when they close one after another
    for passed in [drain * 49 / 100, drain * 51 / 100] {
        let [pool, ..] = Pool::with(&on.world, &on.secret, at_once().drain(drain), 8).await;
        let old = pool.fill().await;
        on.change().await;
        has_sessions(&on, 8).await;
        pool.has_idle(4).await;
        limit(&on, 8).await;
        pause();
        advance(passed).await;
        resume();
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(pool.get().await.unwrap());
        }
        drop((held, pool));
        has_sessions(&on, 0).await;
        are_gone(&on.world, &old, "of a pool that is no more").await;
        limit(&on, 100).await;
    }
}

#[tokio::test]
async fn a_pool_changes_over_before_it_is_full_if_a_request_needs_the_room() {
    let on = Changing::start().await;
    let [pool, ..] = Pool::with(&on.world, &on.secret, at_once(), 8).await;
    pool.fill().await;
    let gate = Gate::to(&on, 2, false).await;
    limit(&on, 6).await;
    on.next(&[("port", json!(gate.port))]).await;
    gate.has_silent(1).await;
    has_sessions(&on, 6).await;
    gate.places.store(usize::MAX, SeqCst);
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(pool.get().await.unwrap());
    }
}
