//! Which of the provider's versions becomes current, and for how long.

use std::sync::atomic::Ordering;

use backon::BackoffBuilder;
use tokio::time::Instant;

use super::{Refresher, backoff, labels};
use crate::{
    credential::{Asked, Credential},
    lifetime::Lifetime,
    provider::{Previous, ProviderError, SecretProvider, Stage, Version},
    slot::Change,
};

impl<P: SecretProvider> Refresher<P> {
    /// Makes AWSCURRENT current, unless the store may lag: then it is asked again until it cannot.
    pub(super) fn believe(&mut self, version: Version, asked: Asked) {
        if self.is_behind(&version, asked.at) {
            tracing::debug!(secret = %self.shared.id, version = version.id, "the store lags: it has a version that was replaced");
            self.answers();
            self.look_later();
        } else {
            self.install(version, Stage::Current, asked);
        }
    }

    /// Whether this version may be the one that the current version replaced, read from a store that lags.
    fn is_behind(&self, version: &Version, asked: Instant) -> bool {
        let last = self.shared.last();
        let held = last.credential();
        if !last.is_usable()
            || version.id == held.version()
            || asked >= self.since + self.shared.lag
        {
            return false;
        }
        let was_in_force = self
            .replaced
            .iter()
            .any(|(id, until)| **id == version.id && asked < *until);
        let is_older = version.created.zip(held.created());
        was_in_force || is_older.is_some_and(|(its, held)| its < held)
    }

    /// Makes the provider's version current, or confirms the current one.
    pub(super) fn install(&mut self, version: Version, stage: Stage, asked: Asked) {
        let last = self.shared.last();
        let held = last.credential();
        let known = last.is_usable() && held.version() == version.id;
        // the next token of the same login is no new version, but lives longer
        let unread = match &version.previous {
            Previous::Unread(error) => Some(error.clone()),
            _ => None,
        };
        let mut credential = if known && !version.auth_token {
            held.confirmed(version, stage, asked)
        } else {
            Credential::new(&self.source, version, stage, asked)
        };
        if unread.is_some() && last.is_usable() {
            credential = credential.with_previous_known(held, self.lifetime.bound);
        }
        if stage == Stage::Current {
            self.displaced = None;
            self.warn_of_previous(unread);
        }
        self.schedule(&credential, !known);
        let before = credential
            .previous()
            .map(|previous| previous.version_id().clone());
        self.answers();
        let id = credential.version_id().clone();
        let Some(changed) = self.shared.install(credential, self.lifetime.bound) else {
            self.refresh_at = Instant::now();
            return;
        };
        if changed {
            let now = Instant::now();
            self.since = now;
            self.replaced
                .retain(|(replaced, until)| now < *until && *replaced != id);
            self.replaced
                .push((held.version_id().clone(), now + self.shared.lag));
            if self.settings.keeps_previous && before.as_ref() != Some(held.version_id()) {
                // the version that was current until now should be the previous one: the store may lag
                self.refresh_at = self.refresh_at.min(now + self.shared.lag);
            }
            // after the credential, so that a task that waits for the change finds it
            let version = id.clone();
            self.tell.send_replace(Change { version });
        }
        if changed && !held.version().is_empty() {
            let labels = labels(self.shared.label.as_ref());
            metrics::counter!("rotating_secret_version_changes_total", labels).increment(1);
            tracing::info!(secret = %self.shared.id, version = %id, stage = stage.label(), "another version is current");
        }
        self.serve();
        self.record_age();
    }

    /// Warns once, until it is read again.
    fn warn_of_previous(&mut self, unread: Option<ProviderError>) {
        let was_unread = std::mem::replace(&mut self.previous_unread, unread.is_some());
        if let Some(error) = unread.filter(|_| !was_unread) {
            tracing::warn!(
                secret = %self.shared.id, %error,
                "AWSPREVIOUS was not read: the current version is renewed, and the previous one that is known is kept until its bound; \
                 let this process read AWSPREVIOUS"
            );
        }
    }

    /// The provider answered.
    fn answers(&mut self) {
        self.failure = None;
        self.shared.failing.store(false, Ordering::SeqCst);
        self.backoff = backoff().build();
    }

    /// Decides when to ask again after a version that is new, or confirms the current one.
    pub(super) fn schedule(&mut self, credential: &Credential, new: bool) {
        let usual = self.settings.lifetime;
        let longest = match self.shared.pushed.is_listening() {
            true => self.settings.while_announced,
            false => usual,
        };
        self.lifetime = self.lifetime_of(credential, longest);
        let random = fastrand::f64();
        let after = match new || self.failure.is_some() {
            true => self.lifetime.refresh_apart(random),
            false => self.lifetime.refresh_after(random),
        };
        self.refresh_at = credential.asked() + after;
        let announced = credential.overlap_window();
        if new && announced.is_some() && usual.within(announced) != usual {
            tracing::warn!(
                secret = %self.shared.id, overlap_window = ?announced, ttl = ?self.lifetime.ttl,
                "the document announces a shorter overlap window than this secret was set up for, so it is renewed more \
                 often; set overlap_window to the function's"
            );
        }
    }

    /// This lifetime, shortened by the document and the lease.
    pub(super) fn lifetime_of(&self, credential: &Credential, longest: Lifetime) -> Lifetime {
        longest
            .within(credential.overlap_window())
            .within(credential.lease())
    }

    /// The database no longer announces changes. It would have announced them until now, so the usual lifetime begins now.
    pub(super) fn not_announced(&mut self) {
        if !self.shared.pushed.is_listening() {
            let last = self.shared.last();
            self.lifetime = self.lifetime_of(last.credential(), self.settings.lifetime);
            let usual = Instant::now() + self.lifetime.refresh_apart(fastrand::f64());
            self.refresh_at = self.refresh_at.min(usual);
        }
    }
}
