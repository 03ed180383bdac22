//! How the old version's pool leaves: it serves fewer and fewer requests, and then its connections close.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Driver, Versioned, lock};

/// The old version's pool, after the next one took its place.
///
/// A new session's first queries cost the server several times as much, for its caches are cold. Were all requests to use
/// new sessions at once, each would wait for the others' first queries. So they go over little by little.
pub(super) struct Leaving<D> {
    pub(super) old: Arc<Versioned<D>>,
    since: Instant,
    /// For so long it serves, and for as long again its idle connections close.
    each: Duration,
    /// Of those who found one idle, each has taken it before the next one looks.
    one_at_a_time: Mutex<()>,
}

impl<D: Driver> Leaving<D> {
    pub(super) fn new(old: Arc<Versioned<D>>, next: &D, over: Duration) -> Self {
        old.pool.log_in_no_more(next);
        Self {
            old,
            since: Instant::now(),
            each: over / 2,
            one_at_a_time: Mutex::default(),
        }
    }

    /// An idle connection, for a share of the requests that falls from all to none.
    pub(super) async fn take_idle(&self) -> Option<D::Connection> {
        if self.since.elapsed() >= self.each.mul_f64(fastrand::f64()) {
            return None;
        }
        let mut taken = pin!(self.old.pool.get());
        // who asks the driver's pool too late waits; it takes an idle one when it is polled first
        let first = poll_fn(|context| {
            let _alone = lock(&self.one_at_a_time);
            let is_there = self.old.pool.holds().idle > 0;
            Poll::Ready(is_there.then(|| taken.as_mut().poll(context)))
        });
        let answer = match first.await? {
            Poll::Ready(answer) => answer,
            Poll::Pending => taken.await,
        };
        answer.ok()
    }

    pub(super) async fn leave(self: Arc<Self>) {
        sleep(self.each).await;
        let idle = self.old.pool.close();
        let apart = self.each / u32::try_from(idle.len()).unwrap_or(u32::MAX).max(1);
        for connection in idle {
            drop(connection);
            sleep(apart).await;
        }
    }
}
