//! How the old version's pool leaves: it serves fewer and fewer requests, and then its connections close.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Driver, Versioned};

/// The old version's pool, after the next one took its place.
///
/// The first queries of a new session cost the server several times as much, because its caches are cold. If all requests
/// used new sessions at once, each would wait for the others. So requests move little by little.
pub(super) struct Leaving<D> {
    pub(super) old: Arc<Versioned<D>>,
    since: Instant,
    /// It serves for this long. Then, over the same time again, its idle connections close.
    each: Duration,
    /// Held from the search for an idle connection until it is taken.
    one_at_a_time: Mutex<()>,
}

impl<D: Driver> Leaving<D> {
    pub(super) fn new(old: Arc<Versioned<D>>, next: &D, over: Duration) -> Self {
        old.pool.stop_logins(next);
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
        // the driver's pool takes an idle connection at the first poll; a caller that finds none there would wait
        let first = poll_fn(|context| {
            // do not wait for it: a callback of the user may take another connection
            let Ok(_alone) = self.one_at_a_time.try_lock() else {
                return Poll::Ready(None);
            };
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
        let idle = self.old.pool.holds().idle;
        let apart = self.each / u32::try_from(idle).unwrap_or(u32::MAX).max(1);
        for _ in 0..idle {
            self.old.pool.let_one_go().await;
            sleep(apart).await;
        }
        drop(self.old.pool.close());
    }
}
