//! Which versions the server rejected lately: after each rejection that version is tried again later, by one login at a time.
//!
//! Without this, everybody who retries would have the server reject a wrong password hundreds of times a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);

/// What was rejected so long ago says nothing of now.
const FORGOTTEN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Rejections(Mutex<HashMap<Arc<str>, Rejected>>);

struct Rejected {
    /// One after another; those of logins that ran side by side are one.
    times: u32,
    last: Instant,
    /// Until then nobody tries it.
    until: Instant,
}

impl Rejections {
    /// Whether a login may be tried with this version now. After a rejection the turn is one login's: the others wait for
    /// what it is told.
    pub(crate) fn has_turn(&self, version: &str) -> bool {
        let (mut versions, now) = (self.lock(), Instant::now());
        let Some(rejected) = versions.get_mut(version) else {
            return true;
        };
        let has_turn = now >= rejected.until;
        if has_turn {
            rejected.until = now + delay(rejected.times);
        }
        has_turn
    }

    /// When a version is tried again that the server rejected, and has accepted for nobody since.
    pub(crate) fn opens(&self, version: &str) -> Option<Instant> {
        self.lock().get(version).map(|rejected| rejected.until)
    }

    /// The server rejected a login that began then.
    pub(crate) fn rejected(&self, secret: &str, version: &Arc<str>, began: Instant) {
        let (mut versions, now) = (self.lock(), Instant::now());
        versions.retain(|_, rejected| now < rejected.last + FORGOTTEN);
        let rejected = versions.entry(version.clone()).or_insert(Rejected {
            times: 0,
            last: began,
            until: now,
        });
        let beside_another = rejected.times > 0 && began <= rejected.last;
        if beside_another {
            return;
        }
        rejected.times = rejected.times.saturating_add(1);
        rejected.last = now;
        let again_in = delay(rejected.times);
        rejected.until = now + again_in;
        tracing::warn!(secret, version = %version, times = rejected.times, ?again_in, "the server rejects this version");
    }

    pub(crate) fn accepted(&self, version: &str) {
        self.lock().remove(version);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Rejected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A quarter of a second, doubled with each rejection.
fn delay(times: u32) -> Duration {
    FIRST
        .saturating_mul(1 << times.saturating_sub(1).min(8))
        .min(LONGEST)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rejected_version_is_tried_by_one_at_a_time_and_ever_later() {
        let rejections = Rejections::default();
        let version: Arc<str> = "v1".into();
        let mut waited = Vec::new();
        // sixty that ran side by side count once
        let began = Instant::now();
        advance(Duration::from_millis(5)).await;
        for _ in 0..60 {
            rejections.rejected("orders/db", &version, began);
        }
        for _ in 0..7 {
            assert!(!rejections.has_turn("v1"), "two at a time");
            let until = rejections.opens("v1").unwrap();
            waited.push((until - Instant::now()).as_millis());
            advance(until - Instant::now()).await;
            let began = Instant::now();
            assert!(rejections.has_turn("v1"));
            advance(Duration::from_millis(1)).await;
            rejections.rejected("orders/db", &version, began);
        }
        assert_eq!(waited, [250, 500, 1000, 2000, 2000, 2000, 2000]);
        rejections.accepted("v1");
        assert!(rejections.has_turn("v1"));
        assert!(rejections.has_turn("v1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_later_it_is_as_if_nothing_had_been() {
        let rejections = Rejections::default();
        for version in ["v1", "v2"] {
            rejections.rejected("orders/db", &version.into(), Instant::now());
            advance(FORGOTTEN).await;
        }
        assert_eq!(rejections.lock().len(), 1);
    }
}
