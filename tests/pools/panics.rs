//! What a pool's user brings panics.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use deadpool_postgres::{Hook, ManagerConfig};
use rotating_secret::pool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_postgres::Config;

use crate::{
    are_gone,
    changeover::{Changing, has_gone_over},
    common::{LONG, until},
    drivers::{Pool, at_once},
};

#[tokio::test]
async fn a_panic_in_a_callback_of_the_next_pool_costs_one_attempt_and_no_change() {
    let on = Changing::start().await;
    let armed = Arc::new(AtomicBool::default());
    let panics = || {
        let armed = armed.clone();
        move || assert!(!armed.swap(false, SeqCst), "the user's own")
    };
    let (configured, made, small, connected) = (panics(), panics(), panics(), panics());
    let tls = || on.world.tls().unwrap();
    let deadpool = pool::deadpool::pool_with(
        &on.secret,
        Config::new(),
        tls(),
        ManagerConfig::default(),
        at_once(),
        move |pool| {
            configured();
            pool.max_size(4)
        },
    );
    let hooked = pool::deadpool::pool_with(
        &on.secret,
        Config::new(),
        tls(),
        ManagerConfig::default(),
        at_once(),
        move |pool| {
            let made = made.clone();
            pool.max_size(4).post_create(Hook::sync_fn(move |_, _| {
                made();
                Ok(())
            }))
        },
    );
    let bb8 = pool::bb8::pool_with(&on.secret, Config::new(), tls(), at_once(), move |pool| {
        small();
        pool.max_size(4).connection_timeout(LONG)
    });
    let options = PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(LONG)
        .after_connect(move |_, _| {
            connected();
            Box::pin(async { Ok(()) })
        });
    let connect =
        PgConnectOptions::new_without_pgpass().ssl_root_cert(on.world.postgres().ca_file());
    let sqlx = pool::sqlx::pool_with(&on.secret, connect, options, at_once());
    for pool in [
        Pool::Deadpool(deadpool.unwrap()),
        Pool::Deadpool(hooked.unwrap()),
        Pool::Bb8(bb8.await.unwrap()),
        Pool::Sqlx(sqlx.await.unwrap()),
    ] {
        let old = pool.fill().await;
        armed.store(true, SeqCst);
        on.change().await;
        until("it has panicked", async || !armed.load(SeqCst)).await;
        has_gone_over(&pool, &old).await;
        are_gone(&on.world, &old, pool.name()).await;
        pool.fill().await;
    }
}
