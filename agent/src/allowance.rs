//! What each token may use, so that one program cannot use up what another one needs.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lru::LruCache;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How many rejected logins of one secret may ask Secrets Manager at once: a pool that opens all its connections.
const BURST: u32 = 60;

/// In the long run, one rejected login asks per second.
const BETWEEN: Duration = Duration::from_secs(1);

/// How many secrets are remembered.
const SECRETS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

/// What the programs with one token may use.
#[derive(Debug)]
pub(crate) struct Allowance {
    watches: Arc<Semaphore>,
    /// For each secret, when all its rejected logins would be over at one per second.
    rejected: Mutex<LruCache<String, Instant>>,
}

impl Allowance {
    /// With places for this many watches.
    pub(crate) fn new(watches: usize) -> Self {
        Self {
            watches: Arc::new(Semaphore::new(watches)),
            rejected: Mutex::new(LruCache::new(SECRETS)),
        }
    }

    /// A place for a program that waits for changes.
    pub(crate) fn watch(&self) -> Option<OwnedSemaphorePermit> {
        self.watches.clone().try_acquire_owned().ok()
    }

    /// Whether this place is one of these, and not one from before a reload.
    pub(crate) fn counts(&self, place: &OwnedSemaphorePermit) -> bool {
        Arc::ptr_eq(place.semaphore(), &self.watches)
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
        let allowance = Allowance::new(1);
        let allowed = |secret| (0..100).filter(|_| allowance.may_recover(secret)).count();
        assert_eq!((allowed("orders/db"), allowed("orders/db")), (60, 0));
        assert_eq!(allowed("stock/db"), 60);
        tokio::time::advance(2 * BETWEEN).await;
        assert_eq!(allowed("orders/db"), 2);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(allowed("orders/db"), 60);
    }
}
