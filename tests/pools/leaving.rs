//! The old version's connections while the pool drains them.

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use rotating_secret::pool::{self, Settings};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::time::timeout;

use crate::{
    alive, are_gone,
    asked::end_while_frozen,
    changeover::Changing,
    common::{LONG, until},
    drivers::{Connection, Pool, at_once},
};

/// Takes connections until one is of the old version, or of the next one.
async fn one_that_is(pool: &Pool, old: &[i32], is_old: bool) -> Connection {
    let taken = async {
        loop {
            let mut connection = pool.get().await.unwrap();
            if old.contains(&connection.pid().await) == is_old {
                return connection;
            }
        }
    };
    timeout(LONG, taken).await.expect("in time")
}

/// Changes the password. Four connections of the old version are idle, and serve nearly all requests until the test ends; the next
/// version has four too.
async fn change(on: &Changing, pool: &Pool) -> Vec<i32> {
    let mut old = Vec::new();
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = pool.get().await.unwrap();
        old.push(connection.pid().await);
        held.push(connection);
    }
    on.change().await;
    // it waits until the next version's pool serves
    let mut next = pool.get().await.unwrap();
    assert!(!old.contains(&next.pid().await), "{}", pool.name());
    drop(held);
    one_that_is(pool, &old, true).await;
    old
}

async fn is_each_of(connections: &mut [Connection], old: &[i32]) -> bool {
    let mut are_old = 0;
    for connection in &mut *connections {
        are_old += usize::from(old.contains(&connection.pid().await));
    }
    are_old == old.len()
}

fn for_long() -> Settings {
    at_once().drain(1_000_000 * LONG)
}

#[tokio::test]
async fn requests_change_over_gradually_and_then_the_old_connections_leave_one_by_one() {
    let on = Changing::start().await;
    let settings = at_once().drain(Duration::from_secs(2));
    for pool in Pool::with(&on.world, &on.secret, settings, 4).await {
        let old = pool.fill().await;
        on.change().await;
        let (mut served, mut counts) = (Vec::new(), HashSet::new());
        let watched = async {
            while !counts.contains(&0) {
                let pid = pool.get().await.unwrap().pid().await;
                served.push(old.contains(&pid));
                counts.insert(alive(&on.world, &old).await);
            }
        };
        timeout(LONG, watched).await.expect("in time");
        let new_and_old = served.iter().skip_while(|is_old| **is_old);
        assert!(new_and_old.copied().any(|is_old| is_old), "{}", pool.name());
        // not all at once
        assert!(counts.len() > 2, "{}: {counts:?}", pool.name());
        pool.fill().await;
        assert_eq!(pool.logins(&on.world), 8, "{}", pool.name());
    }
}

#[tokio::test]
async fn a_leaving_connection_serves_and_never_logs_in_again_with_an_expired_password() {
    let on = Changing::start().await;
    for pool in Pool::with(&on.world, &on.secret, for_long(), 4).await {
        let old = change(&on, &pool).await;
        let rejected = on.rejected();
        // all at the same time, once sqlx has taken all connections back
        let mut held = Vec::new();
        let all_serve = async {
            while !is_each_of(&mut held, &old).await {
                drop(std::mem::take(&mut held));
                let taken = tokio::join!(pool.get(), pool.get(), pool.get(), pool.get());
                held.extend(<[_; 4]>::from(taken).map(Result::unwrap));
            }
        };
        timeout(LONG, all_serve).await.expect("in time");
        for _ in 0..4 {
            let mut connection = pool.get().await.unwrap();
            assert!(!old.contains(&connection.pid().await), "{}", pool.name());
            held.push(connection);
        }
        drop(held);
        one_that_is(&pool, &old, true).await;
        end_while_frozen(&on, &old);
        for _ in 0..8 {
            let mut connection = pool.get().await.unwrap();
            assert!(!old.contains(&connection.pid().await), "{}", pool.name());
        }
        assert_eq!(on.rejected(), rejected, "{}", pool.name());
    }
}

#[tokio::test]
async fn a_pool_can_be_closed_or_dropped_while_the_old_connections_leave() {
    let on = Changing::start().await;
    for is_closed in [true, false] {
        for pool in Pool::with(&on.world, &on.secret, for_long(), 4).await {
            let old = change(&on, &pool).await;
            if is_closed {
                pool.close().await;
                assert!(pool.get().await.is_err(), "{}", pool.name());
                are_gone(&on.world, &old, pool.name()).await;
            }
            drop(pool);
            are_gone(&on.world, &old, "a pool that is no more").await;
        }
    }
}

#[tokio::test]
async fn the_next_change_closes_connections_that_still_leave_but_none_in_use() {
    let on = Changing::start().await;
    for pool in Pool::with(&on.world, &on.secret, for_long(), 4).await {
        let first = change(&on, &pool).await;
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(one_that_is(&pool, &first, true).await);
        }
        change(&on, &pool).await;
        held.truncate(1);
        until(pool.name(), async || alive(&on.world, &first).await == 1).await;
        assert!(first.contains(&held[0].pid().await), "{}", pool.name());
        drop(held);
        are_gone(&on.world, &first, pool.name()).await;
    }
}

#[tokio::test]
async fn a_callback_that_takes_another_connection_does_not_wait() {
    let on = Changing::start().await;
    let (own, asked) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::default()));
    let (pool, asks) = (own.clone(), asked.clone());
    let options = PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(LONG)
        .before_acquire(move |_, _| {
            let another = asks.swap(false, SeqCst).then(|| pool.clone());
            Box::pin(async move {
                if let Some(pool) = another.as_ref().and_then(|pool| pool.get()) {
                    pool::sqlx::Pool::acquire(pool).await?;
                }
                Ok(true)
            })
        });
    let connect =
        PgConnectOptions::new_without_pgpass().ssl_root_cert(on.world.postgres().ca_file());
    let sqlx = pool::sqlx::pool_with(&on.secret, connect, options, for_long());
    let sqlx = sqlx.await.unwrap();
    own.set(sqlx.clone()).unwrap();
    let pool = Pool::Sqlx(sqlx);
    change(&on, &pool).await;
    asked.store(true, SeqCst);
    pool.get().await.unwrap();
    assert!(!asked.load(SeqCst));
}
