//! The function's revoke ends the old version's password and sessions while a pool of that version serves.

use std::{sync::Arc, time::Duration};

use rotating_secret::{RotatingSecret, pool::Settings, provider::Aws};
use tokio::task::JoinSet;

use crate::{
    are_gone,
    common::{revoke, rotate, world},
    drivers::{Connection, Pool},
};

/// No pool fills the next version's pool before the test is over.
const NEVER: Duration = Duration::from_secs(1_000_000_000);

#[tokio::test]
async fn a_revoke_before_the_next_pool_is_filled_costs_no_request() {
    for is_notified in [true, false] {
        for is_alternating in [true, false] {
            let world = world().await;
            let id = match is_alternating {
                true => world.alternating_users(),
                false => world.single_user(),
            };
            let provider = Aws::from_clients([world.aws()]);
            let secret = RotatingSecret::builder(id).build(provider).await.unwrap();
            let settings = Settings::default().jitter(NEVER);
            let pools = Pool::with(&world, &secret, settings, 4).await;
            let pools = pools.map(Arc::new);
            let mut old = Vec::new();
            for pool in &pools {
                old.push(pool.fill().await);
            }
            assert!(rotate(&world, id).await.succeeded);
            if is_notified {
                secret.refresh().await.unwrap();
            }
            for (pool, old) in pools.iter().zip(&old) {
                let pid = pool.get().await.unwrap().pid().await;
                assert!(old.contains(&pid), "{}: the old one serves", pool.name());
            }

            revoke(&world, id).await.unwrap();

            for (pool, old) in pools.iter().zip(&old) {
                are_gone(&world, old, pool.name()).await;
                let mut requests = JoinSet::new();
                for _ in 0..16 {
                    let pool = pool.clone();
                    requests.spawn(async move { pool.get().await.unwrap().pid().await });
                }
                let pids = requests.join_all().await;
                assert!(pids.iter().all(|pid| !old.contains(pid)), "{}", pool.name());
            }
        }
    }
}

/// The server process of a connection, if it answers.
async fn answers(connection: &mut Connection) -> Option<i32> {
    const QUESTION: &str = "SELECT pg_backend_pid()";
    match connection {
        Connection::Deadpool(client) => Some(client.query_one(QUESTION, &[]).await.ok()?.get(0)),
        Connection::Bb8(client) => Some(client.query_one(QUESTION, &[]).await.ok()?.get(0)),
        Connection::Sqlx(connection) => {
            let question = sqlx::query_scalar(QUESTION);
            question.fetch_one(&mut **connection).await.ok()
        }
    }
}

#[tokio::test]
async fn each_session_that_ends_fails_at_most_one_running_request() {
    let world = world().await;
    let id = world.alternating_users();
    let provider = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder(id).build(provider).await.unwrap();
    let settings = Settings::default().jitter(NEVER);
    let pools = Pool::with(&world, &secret, settings, 4).await.map(Arc::new);
    let mut running = Vec::new();
    for pool in &pools {
        let old = pool.fill().await;
        let mut requests = JoinSet::new();
        for _ in 0..8 {
            let (pool, old) = (pool.clone(), old.clone());
            // until one of the next sessions answers
            requests.spawn(async move {
                let mut failed = 0;
                loop {
                    let mut connection = pool.get().await.unwrap();
                    match answers(&mut connection).await {
                        None => failed += 1,
                        Some(pid) if !old.contains(&pid) => return failed,
                        Some(_) => {}
                    }
                }
            });
        }
        running.push(requests);
    }
    assert!(rotate(&world, id).await.succeeded);
    revoke(&world, id).await.unwrap();
    for (pool, requests) in pools.iter().zip(running) {
        let failed: i32 = requests.join_all().await.into_iter().sum();
        assert!(failed <= 4, "{}: {failed} failed", pool.name());
    }
}
