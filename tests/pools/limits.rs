//! How long a request waits for a server that accepts connections and sends nothing, and how many connections a pool may have.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_postgres::{ManagerConfig, Timeouts};
use rotating_secret::{pool, pool::Settings};
use serde_json::json;
use tokio::time::timeout;
use tokio_postgres::Config;

use crate::{
    changeover::{Changing, has_gone_over},
    common::{LONG, until},
    drivers::{Pool, at_once},
    interrupted::Gate,
};

const SHORT: Duration = Duration::from_millis(500);

/// tokio-postgres's pools, each with room for `room` at the time when a version's pool is made.
async fn of_tokio_postgres(
    on: &Changing,
    config: &Config,
    settings: Settings,
    limit: Duration,
    room: &Arc<AtomicUsize>,
) -> [Pool; 2] {
    let (tls, manager) = (on.world.tls().unwrap(), ManagerConfig::default());
    let (config, room, small) = (config.clone(), room.clone(), room.clone());
    let deadpool = pool::deadpool::pool_with(
        &on.secret,
        config.clone(),
        tls.clone(),
        manager,
        settings,
        move |pool| {
            // no time limit for a login
            let wait = Timeouts::wait_millis(LONG.as_millis() as u64);
            pool.max_size(room.load(SeqCst)).timeouts(wait)
        },
    );
    let bb8 = pool::bb8::pool_with(&on.secret, config, tls, settings, move |pool| {
        let room = small.load(SeqCst) as u32;
        pool.max_size(room).connection_timeout(limit)
    });
    [
        Pool::Deadpool(deadpool.unwrap()),
        Pool::Bb8(bb8.await.unwrap()),
    ]
}

#[tokio::test]
async fn a_login_without_an_answer_fails_and_frees_its_place_for_the_next_one() {
    let on = Changing::start().await;
    let mut config = Config::new();
    config.connect_timeout(SHORT);
    let gate = Gate::to(&on, 0, false).await;
    on.next(&[("port", json!(gate.port))]).await;
    let of_one = Arc::new(AtomicUsize::new(1));
    for pool in of_tokio_postgres(&on, &config, at_once(), 10 * SHORT, &of_one).await {
        let name = pool.name();
        let taken = timeout(Duration::from_secs(60), pool.get()).await;
        let error = taken.expect(name).err().unwrap().to_string();
        let place = format!(
            "{} port {}",
            on.document["host"].as_str().unwrap(),
            gate.port
        );
        assert!(error.contains(&place), "{name}: {error}");
        gate.places.store(usize::MAX, SeqCst);
        until(name, async || pool.get().await.is_ok()).await;
        gate.places.store(0, SeqCst);
    }
}

#[tokio::test]
async fn a_login_does_not_hang_longer_than_the_pools_own_limit() {
    for number in 0..2 {
        let on = Changing::with_lag(LONG).await;
        let mut config = Config::new();
        // bb8 has its own limit
        config.connect_timeout([SHORT, LONG][number]);
        // the first login is rejected, so it tries again
        let gate = Gate::to(&on, 1, false).await;
        let wrong = [("port", json!(gate.port)), ("password", json!("wrong"))];
        on.next(&wrong).await;
        let of_one = Arc::new(AtomicUsize::new(1));
        let pools = of_tokio_postgres(&on, &config, at_once(), 4 * SHORT, &of_one).await;
        let pool = pools.into_iter().nth(number).unwrap();
        let taken = timeout(Duration::from_secs(60), pool.get()).await;
        let name = pool.name();
        assert!(taken.expect(name).is_err(), "{name}");
        assert_eq!(on.rejected(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_pool_changes_over_even_if_its_successor_has_less_room() {
    for (number, one_for_one) in [(0, false), (0, true), (1, false), (1, true)] {
        let on = Changing::start().await;
        let (room, settings) = (
            Arc::new(AtomicUsize::new(4)),
            at_once().one_for_one(one_for_one),
        );
        let pools = of_tokio_postgres(&on, &Config::new(), settings, LONG, &room).await;
        let pool = pools.into_iter().nth(number).unwrap();
        let old = pool.fill().await;
        room.store(2, SeqCst);
        on.change().await;
        has_gone_over(&pool, &old).await;
        assert_eq!(pool.size(), 2, "{}", pool.name());
    }
}

#[tokio::test]
async fn a_size_that_is_set_with_deadpools_own_pool_outlives_the_version() {
    let on = Changing::start().await;
    let [pool, ..] = Pool::with(&on.world, &on.secret, at_once(), 4).await;
    let Pool::Deadpool(deadpool) = &pool else {
        unreachable!("the first one is deadpool's");
    };
    for room in [6, 6, 2] {
        let old = pool.fill().await;
        deadpool.inner().resize(room);
        for _ in 0..2 {
            on.change().await;
            has_gone_over(&pool, &old).await;
            assert_eq!(deadpool.inner().status().max_size, room);
        }
        deadpool.inner().resize(4);
    }
    // who closes a version's pool has closed that one only
    deadpool.inner().close();
    on.change().await;
    until("the next one serves", async || pool.get().await.is_ok()).await;
}
