//! What each token may use, so that one program cannot use up what another one needs.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lru::LruCache;
use tokio::time::Instant;

/// How many rejected logins of one secret may ask Secrets Manager at once: a pool that opens all its connections.
const BURST: u32 = 60;

/// In the long run, one rejected login asks per second.
const BETWEEN: Duration = Duration::from_secs(1);

/// How many secrets are remembered.
const SECRETS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

/// What the programs with one token may use.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// How many wait for changes now.
    watches: AtomicUsize,
    /// For each secret, when all its rejected logins would be over at one per second.
    rejected: Mutex<LruCache<String, Instant>>,
}

/// The place of a program that waits for changes.
pub(crate) struct Place(Arc<Allowance>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            watches: AtomicUsize::new(0),
            rejected: Mutex::new(LruCache::new(SECRETS)),
        }
    }
}

impl Allowance {
    /// A place for a program that waits for changes, if fewer than `most` are taken.
    pub(crate) fn watch(self: &Arc<Self>, most: usize) -> Option<Place> {
        let one_more = |taken| (taken < most).then_some(taken + 1);
        let taken = self
            .watches
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Place(self.clone()))
    }

    /// Whether Secrets Manager may now be asked because of a rejected login.
    pub(crate) fn may_recover(&self, secret: &str) -> bool {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let over = rejected.get(secret).map_or(now, |over| now.max(*over));
        let is_within = over + BETWEEN <= now + BETWEEN * BURST;
        if is_within {
            rejected.put(secret.to_owned(), over + BETWEEN);
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sixty_rejected_logins_of_a_secret_may_ask_at_once_and_then_one_per_second() {
        let allowance = Allowance::default();
        let allowed = |secret| (0..100).filter(|_| allowance.may_recover(secret)).count();
        assert_eq!((allowed("orders/db"), allowed("orders/db")), (60, 0));
        assert_eq!(allowed("stock/db"), 60);
        tokio::time::advance(2 * BETWEEN).await;
        assert_eq!(allowed("orders/db"), 2);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(allowed("orders/db"), 60);
    }
}
