//! How the next version's pool replaces the old one.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use local::world::World;
use rotating_secret::{
    RotatingSecret,
    provider::{Fixed, Version},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::yield_now, time::timeout};
use tokio_stream::StreamExt;

use crate::{
    alive, are_gone,
    common::{LONG, ask, current, execute, until, world},
    crowded::kept_ready,
    drivers::{Pool, at_once},
};

/// A role whose password the test changes by hand, and its secret.
pub(crate) struct Changing {
    pub(crate) world: World,
    pub(crate) secret: RotatingSecret,
    provider: Fixed,
    pub(crate) document: Value,
    versions: AtomicUsize,
}

impl Changing {
    pub(crate) async fn start() -> Self {
        Self::with_lag(Duration::from_millis(100)).await
    }

    pub(crate) async fn with_lag(lag: Duration) -> Self {
        let world = world().await;
        let document = current(&world, world.single_user()).await;
        let first = Version::text("0", document.to_string());
        let provider = Fixed::new().with("orders/db", first);
        let builder = RotatingSecret::builder("orders/db").lag(lag);
        Self {
            secret: builder.build(provider.clone()).await.unwrap(),
            world,
            provider,
            document,
            versions: AtomicUsize::new(0),
        }
    }

    /// Changes the password in the server and in the secret.
    pub(crate) async fn change(&self) {
        let password = format!("the {}th", self.versions.load(Ordering::SeqCst) + 1);
        self.set_password(&password).await;
        self.next(&[("password", json!(password))]).await;
    }

    /// Changes the password in the server only.
    pub(crate) async fn set_password(&self, password: &str) {
        let role = self.world.role();
        execute(
            &self.world,
            &format!("ALTER ROLE {role} PASSWORD '{password}'"),
        )
        .await;
    }

    /// Stores a version with these values.
    pub(crate) async fn next(&self, fields: &[(&str, Value)]) {
        let mut document = self.document.clone();
        for (key, value) in fields {
            document[*key] = value.clone();
        }
        let id = 1 + self.versions.fetch_add(1, Ordering::SeqCst);
        self.provider.set(
            "orders/db",
            Version::text(id.to_string(), document.to_string()),
        );
        self.secret.refresh().await.unwrap();
    }

    /// Makes the first version current again.
    pub(crate) async fn take_back(&self) {
        let first = Version::text("0", self.document.to_string());
        self.provider.set("orders/db", first);
        until("the first version is current again", async || {
            self.secret.refresh().await.unwrap().version() == "0"
        })
        .await;
    }

    /// The number of logins that the server rejected.
    pub(crate) fn rejected(&self) -> usize {
        let logins = self.world.postgres().logins(self.world.role());
        logins.unwrap().rejected
    }

    /// The open sessions of a pool.
    pub(crate) async fn sessions(&self, pool: &Pool) -> i64 {
        let name = format!("{}-{}", pool.name(), self.world.role());
        let question =
            format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'");
        ask(&self.world, &question).await
    }
}

/// Waits until the pool serves another version than that of these connections.
pub(crate) async fn has_gone_over(pool: &Pool, old: &[i32]) {
    until(pool.name(), async || {
        let mut connection = pool.get().await.unwrap();
        !old.contains(&connection.pid().await)
    })
    .await;
}

#[tokio::test]
async fn the_next_connections_are_ready_before_the_last_old_ones_close_and_none_is_made_twice() {
    let on = Changing::start().await;
    for pool in Pool::all(&on.world, &on.secret).await {
        let old = pool.fill().await;
        on.change().await;
        has_gone_over(&pool, &old).await;
        // the first task that got a connection sees all of them
        assert_eq!(pool.size(), 4, "{}", pool.name());
        are_gone(&on.world, &old, pool.name()).await;
        pool.fill().await;
        assert_eq!(pool.logins(&on.world), 8, "{}", pool.name());
    }
}

#[tokio::test]
async fn connections_that_a_pool_keeps_ready_are_not_made_twice_either() {
    let on = Changing::start().await;
    for pool in kept_ready(&on, at_once()).await {
        let old = pool.fill().await;
        on.change().await;
        has_gone_over(&pool, &old).await;
        are_gone(&on.world, &old, pool.name()).await;
        pool.fill().await;
        let logins = pool.logins(&on.world);
        assert_eq!(logins, 8, "{}", pool.name());
    }
}

#[tokio::test]
async fn old_connections_serve_until_the_next_are_ready_and_a_rejected_login_changes_over_at_once()
{
    let on = Changing::start().await;
    let settings = at_once().jitter(LONG);
    for pool in Pool::with(&on.world, &on.secret, settings, 4).await {
        let mut connection = pool.get().await.unwrap();
        let old = connection.pid().await;
        drop(connection);
        pool.has_idle(1).await;
        on.change().await;
        let mut held = pool.get().await.unwrap();
        assert_eq!(held.pid().await, old, "{}", pool.name());
        // no connection is idle: it logs in with a password that has ended, then with the next one
        let new = pool.get().await.unwrap().pid().await;
        pool.has_idle(1).await;
        assert_eq!(
            pool.get().await.unwrap().pid().await,
            new,
            "{}",
            pool.name()
        );
        assert_eq!(held.pid().await, old, "{}", pool.name());
        drop(held);
        are_gone(&on.world, &[old], pool.name()).await;
        assert_eq!(pool.logins(&on.world), 2, "{}", pool.name());
    }
}

#[tokio::test]
async fn a_caller_that_waits_for_the_old_pool_gets_a_connection_of_the_new_one() {
    let on = Changing::start().await;
    for pool in Pool::with(&on.world, &on.secret, at_once(), 1).await {
        let mut held = pool.get().await.unwrap();
        let mut waits = pin!(pool.get());
        tokio::select! {
            biased;
            _ = &mut waits => panic!("{}: there is room for one", pool.name()),
            () = yield_now() => {}
        }
        on.change().await;
        let taken = timeout(Duration::from_secs(60), waits).await;
        let name = pool.name();
        let pid = taken.expect(name).unwrap().pid().await;
        assert_ne!(pid, held.pid().await, "{name}");
    }
}

#[tokio::test]
async fn if_the_server_has_no_room_an_old_connection_closes_for_each_new_one() {
    let on = Changing::start().await;
    let role = on.world.role();
    for settings in [at_once(), at_once().one_for_one(true)] {
        for pool in Pool::with(&on.world, &on.secret, settings, 4).await {
            execute(&on.world, &format!("ALTER ROLE {role} CONNECTION LIMIT 4")).await;
            let old = pool.fill().await;
            on.change().await;
            has_gone_over(&pool, &old).await;
            are_gone(&on.world, &old, pool.name()).await;
            pool.fill().await;
            // the next pool needs room too
            execute(
                &on.world,
                &format!("ALTER ROLE {role} CONNECTION LIMIT 100"),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn the_last_of_two_quick_changes_counts() {
    let on = Changing::start().await;
    for pool in Pool::all(&on.world, &on.secret).await {
        let mut old = pool.fill().await;
        for _ in 0..5 {
            on.change().await;
            old.push(pool.get().await.unwrap().pid().await);
        }
        are_gone(&on.world, &old[..4], pool.name()).await;
        until(pool.name(), async || on.sessions(&pool).await == 4).await;
        pool.fill().await;
        // four may be connections of the previous version
        until(pool.name(), async || on.sessions(&pool).await == 4).await;
    }
}

#[tokio::test]
async fn if_the_next_version_is_rejected_the_old_connections_serve_until_another_one_is_accepted() {
    let on = Changing::start().await;
    for pool in Pool::all(&on.world, &on.secret).await {
        let old = pool.fill().await;
        let before = on.rejected();
        on.next(&[("password", json!("not what the server has"))])
            .await;
        until("it was tried", async || on.rejected() > before).await;
        for _ in 0..8 {
            let pid = pool.get().await.unwrap().pid().await;
            assert!(old.contains(&pid), "{}", pool.name());
        }
        on.change().await;
        has_gone_over(&pool, &old).await;
        are_gone(&on.world, &old, pool.name()).await;
    }
}

#[tokio::test]
async fn a_pool_can_be_closed_or_dropped_while_its_successor_is_filled() {
    for is_closed in [true, false] {
        let on = Changing::start().await;
        let pools = Pool::all(&on.world, &on.secret).await;
        let mut old = Vec::new();
        for pool in &pools {
            old.extend(pool.fill().await);
        }
        // a server that accepts connections and sends nothing
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        on.next(&[("port", json!(port))]).await;
        let mut begun = Vec::new();
        for _ in &pools {
            begun.push(silent.accept().await.unwrap());
        }
        assert_eq!(alive(&on.world, &old).await, 12);
        if is_closed {
            for pool in &pools {
                pool.close().await;
                assert!(pool.get().await.is_err(), "{}", pool.name());
                assert_eq!(pool.size(), 0, "{}", pool.name());
            }
        }
        let Changing { world, secret, .. } = on;
        let mut changes = secret.changes();
        drop((pools, secret));
        are_gone(&world, &old, "a pool that is no more").await;
        let ended = timeout(Duration::from_secs(60), changes.next()).await;
        assert_eq!(ended.unwrap(), None);
    }
}
