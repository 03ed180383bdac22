//! What is put in force of what the provider has, and for how long.

use backon::BackoffBuilder;
use tokio::time::Instant;

use super::{Refresher, backoff};
use crate::{
    credential::{Asked, Credential},
    provider::{SecretProvider, Stage, Version},
    slot::Change,
};

impl<P: SecretProvider> Refresher<P> {
    /// Has AWSCURRENT in force, unless the store may lag: then it is asked again until it cannot.
    pub(super) fn believe(&mut self, version: Version, asked: Asked) {
        if self.is_behind(&version, asked.at) {
            tracing::debug!(secret = %self.shared.id, version = version.id, "the store lags: it has what was replaced");
            self.answers();
            self.look_later();
        } else {
            self.install(version, Stage::Current, asked);
        }
    }

    /// Whether this version may be what the one in force has replaced, read from a store that has not heard of it yet.
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

    /// Puts what the provider has in force, or confirms what is.
    pub(super) fn install(&mut self, version: Version, stage: Stage, asked: Asked) {
        let last = self.shared.last();
        let held = last.credential();
        let known = last.is_usable() && held.version() == version.id;
        let credential = if known {
            held.confirmed(stage, version.lease, asked)
        } else {
            Credential::new(version, stage, asked)
        };
        if stage == Stage::Current {
            self.displaced = None;
        }
        self.schedule(&credential, !known);
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
            // after the credential, so that who is told finds it
            let version = id.clone();
            self.tell.send_replace(Change { version });
            metrics::counter!("rotating_secret_version_changes_total", "secret" => self.shared.id.to_string())
                .increment(1);
            tracing::info!(secret = %self.shared.id, version = %id, stage = stage.label(), "another version is in force");
        }
        self.serve();
        self.tell_age();
    }

    /// The provider answers.
    fn answers(&mut self) {
        self.failure = None;
        self.backoff = backoff().build();
    }

    pub(super) fn schedule(&mut self, credential: &Credential, new: bool) {
        let (announced, longest) = (credential.overlap_window(), self.longest);
        self.lifetime = longest.within(announced).within(credential.lease());
        self.refresh_at = credential.asked() + self.lifetime.refresh_after(fastrand::f64());
        if new && announced.is_some() && longest.within(announced) != longest {
            tracing::warn!(
                secret = %self.shared.id, overlap_window = ?announced, ttl = ?self.lifetime.ttl,
                "the document announces a shorter overlap window than this secret was set up for: it is renewed the more \
                 often; set overlap_window to the function's"
            );
        }
    }
}
