//! The next version's pool is filled only in part: its server has become silent, or the change was undone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use rotating_secret::pool::Settings;
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, yield_now},
    time::{advance, pause, resume, timeout},
};

use crate::{
    asked::end_while_frozen,
    changeover::{Changing, has_gone_over},
    common::until,
    drivers::{Pool, at_once},
};

/// A relay to the server, at its own port.
pub(crate) struct Gate {
    pub(crate) port: u16,
    /// The number of connections that it passes on; the others get no answer.
    pub(crate) places: Arc<AtomicUsize>,
    /// The number of connections that get no answer.
    silent: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Gate {
    /// `hangs_up`: whether it closes the connections that it does not pass on.
    pub(crate) async fn to(on: &Changing, places: usize, hangs_up: bool) -> Self {
        let server = on.document["port"].as_u64().unwrap() as u16;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (places, silent) = (Arc::new(places.into()), Arc::new(0.into()));
        let (left, count) = (Arc::clone(&places), Arc::clone(&silent));
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let one_less = |places: usize| places.checked_sub(1);
                if AtomicUsize::fetch_update(&left, SeqCst, SeqCst, one_less).is_ok() {
                    tokio::spawn(async move {
                        let server = TcpStream::connect(("127.0.0.1", server)).await;
                        let _ = copy_bidirectional(&mut client, &mut server.unwrap()).await;
                    });
                } else {
                    if !hangs_up {
                        held.push(client);
                    }
                    AtomicUsize::fetch_add(&count, 1, SeqCst);
                }
            }
        });
        Self {
            port,
            places,
            silent,
            task: task.abort_handle(),
        }
    }

    pub(crate) async fn has_silent(&self, count: usize) {
        let what = format!("{count} logins hear nothing");
        until(&what, async || self.silent.load(SeqCst) >= count).await;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Each pool alone, with room for so many, and its own server.
async fn each(settings: Settings, room: usize) -> Vec<(Changing, Pool)> {
    let mut each = Vec::new();
    for number in 0..3 {
        let on = Changing::start().await;
        let pools = Pool::with(&on.world, &on.secret, settings, room).await;
        each.push((on, pools.into_iter().nth(number).unwrap()));
    }
    each
}

#[tokio::test]
async fn a_change_that_is_reversed_while_a_pool_is_filled_leaves_nothing_behind() {
    for settings in [at_once(), at_once().one_for_one(true)] {
        for (on, pool) in each(settings, 4).await {
            pool.fill().await;
            let gate = Gate::to(&on, 2, false).await;
            let next = [("port", json!(gate.port)), ("dbname", json!("postgres"))];
            on.next(&next).await;
            gate.has_silent(1).await;
            on.take_back().await;
            let mut held = Vec::new();
            for _ in 0..4 {
                let mut connection = pool.get().await.unwrap();
                let is_next = "SELECT (current_database() = 'postgres')::int";
                assert_eq!(connection.number(is_next).await, 0, "{}", pool.name());
                held.push(connection);
            }
            let what = format!("{}: only those in use are left", pool.name());
            until(&what, async || on.sessions(&pool).await == 4).await;
        }
    }
}

#[tokio::test]
async fn no_request_uses_a_version_that_the_server_has_not_yet_accepted() {
    for (on, pool) in each(at_once().one_for_one(true), 1).await {
        drop(pool.get().await.unwrap());
        pool.has_idle(1).await;
        let gate = Gate::to(&on, 0, false).await;
        on.next(&[("port", json!(gate.port))]).await;
        // the only old connection has closed to make room
        gate.has_silent(1).await;
        let taken = timeout(Duration::from_secs(60), pool.get()).await;
        let taken = taken.unwrap_or_else(|_| panic!("{}", pool.name()));
        assert!(taken.is_ok(), "{}", pool.name());
    }
}

#[tokio::test]
async fn a_hanging_login_delays_the_change_for_half_a_minute_and_not_forever() {
    for (on, pool) in each(at_once(), 1).await {
        let old = pool.get().await.unwrap().pid().await;
        pool.has_idle(1).await;
        let gate = Gate::to(&on, 0, false).await;
        on.next(&[("port", json!(gate.port))]).await;
        gate.has_silent(1).await;
        gate.places.store(usize::MAX, SeqCst);
        pause();
        advance(Duration::from_secs(31)).await;
        resume();
        has_gone_over(&pool, &[old]).await;
    }
}

#[tokio::test]
async fn a_pool_whose_successor_has_idle_connections_is_dropped_outside_of_a_runtime() {
    for (on, pool) in each(at_once(), 4).await {
        pool.fill().await;
        let gate = Gate::to(&on, 2, true).await;
        on.next(&[("port", json!(gate.port))]).await;
        gate.has_silent(4).await;
        let name = pool.name();
        assert!(thread::spawn(move || drop(pool)).join().is_ok(), "{name}");
    }
}

#[tokio::test]
async fn one_connection_at_most_closes_for_a_new_one_even_if_its_session_had_ended() {
    let on = Changing::start().await;
    let [_, pool, _] = Pool::with(&on.world, &on.secret, at_once().one_for_one(true), 4).await;
    let mut held = pool.get().await.unwrap();
    let pid = held.pid().await;
    let mut ended = pool.get().await.unwrap();
    let ends = [ended.pid().await];
    drop(ended);
    end_while_frozen(&on, &ends);
    // its listener gets the notification
    yield_now().await;
    let gate = Gate::to(&on, 0, false).await;
    on.next(&[("port", json!(gate.port))]).await;
    gate.has_silent(1).await;
    assert_eq!(pool.size(), 1);
    drop(held);
    assert_eq!(pool.num_idle(), 1);
    assert_eq!(pool.get().await.unwrap().pid().await, pid);
}
