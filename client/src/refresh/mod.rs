//! The task that keeps a secret fresh: the one place from which the provider is asked.
//!
//! It waits for the first of these, and does one at a time:
//!
//! - the lifetime nears its end: AWSCURRENT is asked for;
//! - somebody was told of a new version: the same, at most once a second;
//! - somebody wants a credential where there is none, or another one than the server rejected;
//! - the bound is reached, in the middle of a fetch too: what is in force is withdrawn.

mod recover;

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    credential::Credential,
    error::Error,
    lifetime::Lifetime,
    provider::{ProviderError, ProviderErrorKind, SecretProvider, Stage, Version},
    slot::{Change, CredentialGuard, Shared},
};

use self::recover::{Questions, Recovery};

pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What is pushed is looked at no more often, so that nobody can have the provider flooded.
const BETWEEN_PUSHES: Duration = Duration::from_secs(1);

/// After a failure that asking again will not cure, those who wait are told of it for as long as this.
const PERMANENT: Duration = Duration::from_secs(1);

pub(crate) type Reply = oneshot::Sender<Result<CredentialGuard, Error>>;

/// What handles ask the task.
pub(crate) enum Ask {
    /// Whatever is in force, or the next one.
    Usable(Reply),
    /// What the provider has now.
    Refresh(Reply),
    /// Another version than those that the server rejected.
    Recover { tried: Vec<Arc<str>>, reply: Reply },
}

pub(crate) struct Refresher<P> {
    provider: P,
    shared: Arc<Shared>,
    tell: watch::Sender<Change>,
    asks: mpsc::UnboundedReceiver<Ask>,
    /// As it was set up.
    longest: Lifetime,
    /// As the document that is in force has it.
    lifetime: Lifetime,
    fetch_timeout: Duration,
    refresh_at: Instant,
    expires_at: Instant,
    backoff: ExponentialBackoff,
    failure: Option<Failure>,
    pushed: Option<Instant>,
    questions: Questions,
    /// AWSCURRENT that was rejected when AWSPENDING was put in force in its stead.
    displaced: Option<String>,
}

/// The last fetch, if it failed.
struct Failure {
    error: ProviderError,
    /// Until then the provider is not asked again.
    until: Instant,
}

impl<P: SecretProvider> Refresher<P> {
    pub(crate) fn new(
        provider: P,
        shared: Arc<Shared>,
        tell: watch::Sender<Change>,
        asks: mpsc::UnboundedReceiver<Ask>,
        longest: Lifetime,
        fetch_timeout: Duration,
    ) -> Self {
        let now = Instant::now();
        let mut refresher = Self {
            provider,
            tell,
            asks,
            longest,
            lifetime: longest,
            fetch_timeout,
            refresh_at: now,
            expires_at: now,
            backoff: backoff().build(),
            failure: None,
            pushed: None,
            questions: Questions::default(),
            displaced: None,
            shared: shared.clone(),
        };
        refresher.schedule(shared.last().credential(), true);
        refresher
    }

    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        loop {
            let usable = shared.last().is_usable();
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
                () = shared.pushed.notified() => self.pushed().await,
                () = sleep_until(self.refresh_at) => self.refresh().await,
                () = sleep_until(self.expires_at), if usable => self.expire(),
            }
        }
    }

    /// Answers this, and whatever else is asked meanwhile, together.
    async fn answer(&mut self, ask: Ask) {
        let (mut waiting, mut forced, mut recoveries) = (Vec::new(), false, Vec::new());
        let mut next = Some(ask);
        while let Some(ask) = next {
            match ask {
                Ask::Usable(reply) => waiting.push(reply),
                Ask::Refresh(reply) => {
                    forced = true;
                    waiting.push(reply);
                }
                Ask::Recover { tried, reply } => recoveries.push(Recovery { tried, reply }),
            }
            next = self.asks.try_recv().ok();
        }
        if !waiting.is_empty() {
            let may_ask = self
                .failure
                .as_ref()
                .is_none_or(|failure| failure.until <= Instant::now());
            if may_ask && (forced || self.shared.current().is_err()) {
                self.refresh().await;
            }
            for reply in waiting {
                let _ = reply.send(self.outcome(forced));
            }
        }
        if !recoveries.is_empty() {
            self.recover(recoveries).await;
        }
    }

    /// What those who waited get: for a forced refresh its failure, else the credential while there is one.
    fn outcome(&self, forced: bool) -> Result<CredentialGuard, Error> {
        match (&self.failure, self.shared.current()) {
            (None, current) => current,
            (Some(_), Ok(credential)) if !forced => Ok(credential),
            (Some(failure), _) => Err(self.error(failure.error.clone())),
        }
    }

    async fn pushed(&mut self) {
        let now = Instant::now();
        match self.pushed {
            Some(last) if now < last + BETWEEN_PUSHES => {
                // the look that is due counts for those that come after it
                let due = if last > now {
                    last
                } else {
                    last + BETWEEN_PUSHES
                };
                self.pushed = Some(due);
                self.refresh_at = self.refresh_at.min(due);
            }
            _ => {
                self.pushed = Some(now);
                self.refresh().await;
            }
        }
    }

    /// Asks for AWSCURRENT, and has it in force.
    async fn refresh(&mut self) {
        match self.fetch(Stage::Current).await {
            // what the server rejected does not come back while AWSPENDING, which it did not, is still pending
            Ok((version, asked)) if self.displaced.as_ref() == Some(&version.id) => {
                match self.fetch(Stage::Pending).await {
                    Ok((pending, asked_after))
                        if pending.id == self.shared.last().credential().version() =>
                    {
                        self.install(pending, Stage::Pending, asked_after);
                    }
                    Err(error) if error.kind() != ProviderErrorKind::NotFound => self.failed(error),
                    _ => self.install(version, Stage::Current, asked),
                }
            }
            Ok((version, asked)) => self.install(version, Stage::Current, asked),
            Err(error) => self.failed(error),
        }
    }

    /// One question, within its time limit. If the bound is reached meanwhile, so be it.
    async fn fetch(&self, stage: Stage) -> Result<(Version, Instant), ProviderError> {
        let asked = Instant::now();
        let fetch = self.provider.fetch(&self.shared.id, stage);
        let mut fetch = std::pin::pin!(timeout_at(asked + self.fetch_timeout, fetch));
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut fetch => break answer,
                () = sleep_until(self.expires_at), if self.shared.last().is_usable() => self.expire(),
            }
        };
        let answer = answer.unwrap_or_else(|_| Err(too_slow()));
        let failed = answer.as_ref().err();
        let absent = |error: &&ProviderError| {
            stage == Stage::Pending && error.kind() == ProviderErrorKind::NotFound
        };
        count(&self.shared.id, failed.filter(|error| !absent(error)));
        answer.map(|version| (version, asked))
    }

    /// Puts what the provider has in force, or confirms what is.
    fn install(&mut self, version: Version, stage: Stage, asked: Instant) {
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
        self.failure = None;
        self.backoff = backoff().build();
        let id = credential.version_id().clone();
        let Some(changed) = self.shared.install(credential) else {
            self.refresh_at = Instant::now();
            return;
        };
        if changed {
            // after the credential, so that whoever is told finds it
            let (version, at) = (id.clone(), Some(Instant::now()));
            self.tell.send_replace(Change { version, at });
            metrics::counter!("rotating_secret_version_changes_total", "secret" => self.shared.id.to_string())
                .increment(1);
            tracing::info!(secret = %self.shared.id, version = %id, stage = stage.label(), "another version is in force");
        }
        self.tell_age();
    }

    fn schedule(&mut self, credential: &Credential, new: bool) {
        let announced = credential.overlap_window();
        self.lifetime = self.longest.within(announced).within(credential.lease());
        self.refresh_at = credential.fetched() + self.lifetime.refresh_after(fastrand::f64());
        self.expires_at = credential.fetched() + self.lifetime.bound;
        if new && announced.is_some() && self.longest.within(announced) != self.longest {
            tracing::warn!(
                secret = %self.shared.id, overlap_window = ?announced, ttl = ?self.lifetime.ttl,
                "the document announces a shorter overlap window than this secret was set up for: it is renewed the more \
                 often; set overlap_window to the function's"
            );
        }
    }

    fn failed(&mut self, error: ProviderError) {
        let now = Instant::now();
        let (next, until) = if error.kind().is_transient() {
            let delay = self.backoff.next().unwrap_or(LONGEST_DELAY);
            (now + delay, now + delay)
        } else {
            let delay = self.lifetime.refresh_after(fastrand::f64());
            (now + delay, now + PERMANENT)
        };
        self.refresh_at = next;
        let age = self.shared.last().credential().age();
        tracing::warn!(secret = %self.shared.id, %error, ?age, again_in = ?(next - now), "the secret was not renewed");
        self.failure = Some(Failure { error, until });
        self.tell_age();
    }

    fn expire(&self) {
        let last = self.failure.as_ref().map(|failure| failure.error.clone());
        self.shared.withdraw(|held| Error::Expired {
            secret: self.shared.id.clone(),
            seconds: held.age().as_secs(),
            last,
        });
        tracing::error!(secret = %self.shared.id, "the credential was not confirmed for too long, and is not used any more");
    }

    fn error(&self, source: ProviderError) -> Error {
        Error::Provider {
            secret: self.shared.id.clone(),
            source,
        }
    }

    fn tell_age(&self) {
        let age = self.shared.last().credential().age();
        metrics::gauge!("rotating_secret_age_seconds", "secret" => self.shared.id.to_string())
            .set(age.as_secs_f64());
    }
}

/// No handle is left, or the runtime has ended under handles that live on.
impl<P> Drop for Refresher<P> {
    fn drop(&mut self) {
        let secret = self.shared.id.clone();
        self.shared.withdraw(|_| Error::Stopped { secret });
        // nobody may wait for an answer that will not come
        self.asks.close();
        while let Ok(ask) = self.asks.try_recv() {
            drop(ask);
        }
    }
}

/// From a tenth of a second to half a minute, each with as much again by chance.
pub(crate) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_DELAY / 2)
        .with_jitter()
        .without_max_times()
}

pub(crate) fn too_slow() -> ProviderError {
    let message = "no answer in time: check the route to the provider";
    ProviderError::new(ProviderErrorKind::Unavailable, message)
}

/// Every question, and those that failed by kind.
pub(crate) fn count(secret: &str, failed: Option<&ProviderError>) {
    metrics::counter!("rotating_secret_fetches_total", "secret" => secret.to_owned()).increment(1);
    if let Some(error) = failed {
        let kind = error.kind().name();
        metrics::counter!("rotating_secret_failures_total", "secret" => secret.to_owned(), "kind" => kind)
            .increment(1);
    }
}

#[cfg(feature = "listen")]
#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::*;
    use crate::RotatingSecret;

    /// When it was asked.
    #[derive(Clone, Default)]
    struct Asked(Arc<Mutex<Vec<Instant>>>);

    impl SecretProvider for Asked {
        async fn fetch(&self, _: &str, _: Stage) -> Result<Version, ProviderError> {
            self.0.lock().unwrap().push(Instant::now());
            Ok(Version::text("v1", "{}"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_pushed_all_the_time_is_looked_at_once_a_second() {
        let provider = Asked::default();
        let secret = RotatingSecret::builder("orders/db").build(provider.clone());
        let secret = secret.await.unwrap();
        for _ in 0..100 {
            secret.pushed();
            sleep(Duration::from_millis(70)).await;
        }
        let asked = provider.0.lock().unwrap().split_off(1);
        assert_eq!(asked.len(), 7);
        for pair in asked.windows(2) {
            let between = pair[1] - pair[0];
            assert!(between >= BETWEEN_PUSHES, "{between:?}");
        }
    }
}
