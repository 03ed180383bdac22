//! The server's latest answers about the versions: a rejected version is tried again later, by one login at a time.
//!
//! Without this, retries would send a wrong password to the server hundreds of times a second. A version that it accepts for some
//! logins and rejects for others is not held back: there may be two servers behind one name.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);

/// An answer that is older means nothing now.
const FORGOTTEN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Rejections {
    versions: Mutex<HashMap<Arc<str>, Answers>>,
    /// A rejected version is accepted again.
    accepted: Notify,
}

/// The answers to logins with one version.
struct Answers {
    /// Rejections one after another; parallel logins count as one. Zero, if the only answers are unclear.
    rejected: u32,
    last: Instant,
    /// Until then no login tries it.
    until: Instant,
    /// When it was accepted, after a rejection.
    accepted: Option<Instant>,
}

/// How logins with a version are held back.
enum HeldBack {
    Until(Instant),
    /// Some logins are accepted.
    EachByItself,
}

impl Answers {
    fn are_forgotten(&self, now: Instant) -> bool {
        now >= self.last + FORGOTTEN
    }

    /// Whether one login at a time tries it.
    fn are_rejections(&self, now: Instant) -> bool {
        let is_mixed = self.accepted.is_some_and(|at| now < at + FORGOTTEN);
        self.rejected > 0 && !is_mixed
    }
}

impl Rejections {
    /// Whether a login may try this version now. After a rejection one login has the turn: the others wait for its answer.
    pub(crate) fn has_turn(&self, version: &str) -> bool {
        let now = Instant::now();
        let mut versions = self.known(now);
        let Some(answers) = versions.get_mut(version) else {
            return true;
        };
        if !answers.are_rejections(now) {
            return true;
        }
        let has_turn = now >= answers.until;
        if has_turn {
            answers.until = now + delay(answers.rejected);
        }
        has_turn
    }

    /// Waits until a rejected version may be tried again, by a login that has tried that often.
    pub(crate) async fn next_turn(&self, version: &str, tries: u32) {
        let accepted = self.accepted.notified();
        match self.held_back(version) {
            None => pending().await,
            Some(HeldBack::Until(until)) => tokio::select! {
                () = sleep_until(until) => {}
                () = accepted => {}
            },
            Some(HeldBack::EachByItself) => sleep(delay(tries)).await,
        }
    }

    /// `None` if it was not rejected.
    fn held_back(&self, version: &str) -> Option<HeldBack> {
        let now = Instant::now();
        let versions = self.known(now);
        let answers = versions.get(version)?;
        if answers.are_rejections(now) {
            Some(HeldBack::Until(answers.until))
        } else {
            (answers.rejected > 0).then_some(HeldBack::EachByItself)
        }
    }

    /// Whether the server rejected it, or may have, and has not accepted it since.
    pub(crate) fn is_doubted(&self, version: &str) -> bool {
        let versions = self.known(Instant::now());
        let answers = versions.get(version);
        answers.is_some_and(|answers| answers.accepted.is_none_or(|at| at < answers.last))
    }

    /// The server rejected a login that began then.
    pub(crate) fn rejected(&self, secret: &str, version: &Arc<str>, began: Instant) {
        let now = Instant::now();
        let mut versions = self.known(now);
        let answers = versions
            .entry(version.clone())
            .or_insert(Answers::new(began));
        let beside_another = answers.rejected > 0 && began <= answers.last;
        if beside_another {
            return;
        }
        answers.rejected = answers.rejected.saturating_add(1);
        answers.last = now;
        let again_in = delay(answers.rejected);
        answers.until = now + again_in;
        tracing::warn!(secret, version = %version, times = answers.rejected, ?again_in, "the server rejects this version");
    }

    /// The server's answer may have been a rejection.
    pub(crate) fn unclear(&self, version: &Arc<str>) {
        let now = Instant::now();
        let mut versions = self.known(now);
        let answers = versions.entry(version.clone()).or_insert(Answers::new(now));
        answers.last = now;
    }

    pub(crate) fn accepted(&self, version: &str) {
        let now = Instant::now();
        if let Some(answers) = self.known(now).get_mut(version) {
            answers.rejected = answers.rejected.min(1);
            answers.accepted = Some(now);
            self.accepted.notify_waiters();
        }
    }

    /// The answers that are not too old.
    fn known(&self, now: Instant) -> MutexGuard<'_, HashMap<Arc<str>, Answers>> {
        let versions = self.versions.lock();
        let mut versions = versions.unwrap_or_else(PoisonError::into_inner);
        versions.retain(|_, answers| !answers.are_forgotten(now));
        versions
    }
}

impl Answers {
    fn new(now: Instant) -> Self {
        Self {
            rejected: 0,
            last: now,
            until: now,
            accepted: None,
        }
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
    async fn a_rejected_version_is_tried_by_one_login_at_a_time_after_longer_and_longer_pauses() {
        let rejections = Rejections::default();
        let version: Arc<str> = "v1".into();
        let mut waited = Vec::new();
        // sixty in parallel count once
        let began = Instant::now();
        advance(Duration::from_millis(5)).await;
        for _ in 0..60 {
            rejections.rejected("orders/db", &version, began);
        }
        for _ in 0..7 {
            assert!(!rejections.has_turn("v1"), "two at a time");
            let begun = Instant::now();
            rejections.next_turn("v1", 1).await;
            waited.push(begun.elapsed().as_millis());
            let began = Instant::now();
            assert!(rejections.has_turn("v1"));
            advance(Duration::from_millis(1)).await;
            rejections.rejected("orders/db", &version, began);
        }
        let apart = [250, 500, 1000, 2000, 2000, 2000, 2000];
        for (waited, apart) in waited.iter().zip(apart) {
            // a timer's grain is a millisecond
            assert!((apart..=apart + 2).contains(waited), "{waited} for {apart}");
        }
        rejections.accepted("v1");
        assert!(rejections.has_turn("v1") && rejections.has_turn("v1"));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_minute_the_answers_are_forgotten() {
        let rejections = Rejections::default();
        for version in ["v1", "v2"] {
            rejections.rejected("orders/db", &version.into(), Instant::now());
            assert!(rejections.is_doubted(version));
            advance(FORGOTTEN).await;
            assert!(rejections.has_turn(version) && rejections.has_turn(version));
        }
        assert_eq!(rejections.known(Instant::now()).len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_that_some_logins_can_use_is_not_held_back_and_waiting_logins_wake() {
        let rejections = Arc::new(Rejections::default());
        let version: Arc<str> = "v1".into();
        rejections.rejected("orders/db", &version, Instant::now());
        let waits = tokio::spawn({
            let rejections = rejections.clone();
            async move { rejections.next_turn("v1", 1).await }
        });
        tokio::task::yield_now().await;
        let begun = Instant::now();
        rejections.accepted("v1");
        waits.await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..60 {
            advance(Duration::from_millis(1)).await;
            rejections.rejected("orders/db", &version, Instant::now());
            assert!(rejections.has_turn("v1"));
        }
        // a rejected login still does not try again at once
        rejections.next_turn("v1", 3).await;
        assert!(begun.elapsed() >= Duration::from_secs(1));
    }
}
