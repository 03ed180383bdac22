//! A pool while the server rejects its version.

use std::time::{Duration, Instant};

use rotating_secret::pool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::{join, time::timeout};

use crate::{
    changeover::Changing,
    common::{LONG, until},
    drivers::{Pool, at_once},
};

#[tokio::test]
async fn a_caller_that_waits_for_a_login_takes_a_connection_that_is_returned_meanwhile() {
    for number in 0..3 {
        let on = Changing::with_lag(LONG).await;
        let pools = Pool::with(&on.world, &on.secret, at_once(), 3).await;
        let pool = pools.into_iter().nth(number).unwrap();
        let mut held = pool.get().await.unwrap();
        let only = held.pid().await;
        on.set_password("by hand").await;
        let is_rejected = async || until("one is rejected", async || on.rejected() > 0).await;
        let served = async || pool.get().await.unwrap().pid().await;
        let all = async {
            join!(
                served(),
                async {
                    is_rejected().await;
                    served().await
                },
                async {
                    is_rejected().await;
                    drop(held);
                }
            )
        };
        let all = timeout(Duration::from_secs(60), all).await;
        let (first, held_back, ()) = all.unwrap_or_else(|_| panic!("{}", pool.name()));
        assert_eq!([first, held_back], [only; 2], "{}", pool.name());
    }
}

#[tokio::test]
async fn while_one_login_is_retried_sqlx_does_not_log_in_to_keep_connections_ready() {
    let on = Changing::with_lag(LONG).await;
    let connect =
        PgConnectOptions::new_without_pgpass().ssl_root_cert(on.world.postgres().ca_file());
    // without a lifetime sqlx opens them at once
    let options = PgPoolOptions::new()
        .max_connections(4)
        .min_connections(4)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(LONG);
    on.set_password("by hand").await;
    let began = Instant::now();
    let pool = pool::sqlx::pool(&on.secret, connect, options)
        .await
        .unwrap();
    tokio::select! {
        _ = pool.acquire() => panic!("it is rejected"),
        () = until("five logins are rejected", async || on.rejected() >= 5) => {}
    }
    // after the first two: 0.25 s, 0.5 s, 1 s
    assert!(began.elapsed() >= Duration::from_millis(1500));
}
