//! The task that keeps a secret fresh: no other code asks the provider.
//!
//! It waits for the first of these, and does one at a time:
//!
//! - the lifetime nears its end: it asks for AWSCURRENT;
//! - a new version was announced: the same, once a second until that version is seen;
//! - a caller needs the provider's answer, or a credential while there is none;
//! - a caller needs another version than the rejected one: it asks until the store may have caught up;
//! - the bound is reached, even in the middle of a fetch: the current version is withdrawn.

mod install;
mod look;
mod pace;
mod recover;

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::{FutureExt, StreamExt};
use metrics::Label;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    credential::{Asked, Source},
    error::Error,
    lifetime::Lifetime,
    provider::{
        Outage, Previous, ProviderError, ProviderErrorKind, SecretProvider, Stage, Version,
    },
    slot::{Change, CredentialGuard, Shared},
};

pub(crate) use self::recover::Recovery;
use self::{look::Look, pace::Pace, recover::Recovering};

pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// After a failure that a retry will not cure, waiting callers get that failure for this long.
const PERMANENT: Duration = Duration::from_secs(1);

/// How often a question checks that the process runs.
const PULSE: Duration = Duration::from_millis(500);

/// After this long without a check, the process was frozen.
const FROZEN: Duration = Duration::from_secs(1);

pub(crate) type Reply = oneshot::Sender<Result<CredentialGuard, Error>>;

/// How a secret is renewed.
pub(crate) struct Settings {
    pub(crate) lifetime: Lifetime,
    /// The lifetime while the database announces changes.
    pub(crate) while_announced: Lifetime,
    pub(crate) fetch_timeout: Duration,
    /// Whether AWSPREVIOUS is kept in addition to AWSCURRENT.
    pub(crate) keeps_previous: bool,
    /// Whether a refusal by the store drops the current version.
    pub(crate) ends_when_refused: bool,
}

/// What handles ask of the task.
pub(crate) enum Ask {
    /// The current version, or the next one.
    Usable(Reply),
    /// What the provider has now.
    Refresh(Reply),
    /// Another version than those that the server rejected.
    Recover(Recovery),
}

/// Whether a cache between here and the store may answer.
#[derive(Clone, Copy)]
enum Freshness {
    /// It may: nothing suggests another version.
    Cached,
    /// It may not.
    Fresh,
}

pub(crate) struct Refresher<P> {
    provider: P,
    source: Arc<Source>,
    shared: Arc<Shared>,
    tell: watch::Sender<Change>,
    asks: mpsc::UnboundedReceiver<Ask>,
    settings: Settings,
    /// The lifetime of the current document.
    lifetime: Lifetime,
    refresh_at: Instant,
    backoff: ExponentialBackoff,
    failure: Option<Failure>,
    /// Those who need the provider's answer.
    forced: Vec<Reply>,
    forced_pace: Pace,
    look: Look,
    recovering: Recovering,
    /// The rejected AWSCURRENT in whose place AWSPENDING became current.
    displaced: Option<String>,
    /// AWSPREVIOUS could not be read the last time.
    previous_unread: bool,
    /// When the current version was first seen.
    since: Instant,
    /// The versions that were current before it, and until when a store that lags may still have them.
    replaced: Vec<(Arc<str>, Instant)>,
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
        source: Arc<Source>,
        shared: Arc<Shared>,
        tell: watch::Sender<Change>,
        asks: mpsc::UnboundedReceiver<Ask>,
        settings: Settings,
    ) -> Self {
        let now = Instant::now();
        let mut refresher = Self {
            provider,
            source,
            tell,
            asks,
            lifetime: settings.lifetime,
            settings,
            refresh_at: now,
            backoff: backoff().build(),
            failure: None,
            forced: Vec::new(),
            forced_pace: Pace::new(Duration::ZERO),
            look: Look::default(),
            recovering: Recovering::default(),
            displaced: None,
            previous_unread: false,
            since: now,
            replaced: Vec::new(),
            shared: shared.clone(),
        };
        refresher.schedule(shared.last().credential(), true);
        refresher
    }

    pub(crate) async fn run(mut self) {
        let shared = self.shared.clone();
        // a panic in it ends the announcements, and not the secret
        let announced = AssertUnwindSafe(self.provider.changes(&shared.id));
        let mut announced = announced.catch_unwind().fuse();
        loop {
            let (forced_at, round_at) = (self.forced_at(), self.round_at());
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
                push = shared.pushed.next() => self.pushed(push),
                Some(Ok(())) = announced.next() => self.look_again(),
                () = at(self.look.at) => self.look().await,
                () = at(forced_at) => self.forced().await,
                () = at(round_at) => self.round().await,
                () = sleep_until(self.refresh_at) => self.refresh(Freshness::Cached).await,
                () = at(shared.last().ends_at()) => self.expire(),
            }
        }
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Usable(reply) => {
                if self.shared.last().is_overdue() {
                    self.expire();
                }
                // an answer from before the invalidation does not bring the version back: then it is asked once more
                while self.shared.current().is_err() && self.may_ask() {
                    self.refresh(Freshness::Fresh).await;
                }
                let _ = reply.send(self.outcome(false));
            }
            Ask::Refresh(reply) if self.may_ask() => self.forced.push(reply),
            Ask::Refresh(reply) => {
                let _ = reply.send(self.outcome(true));
            }
            Ask::Recover(recovery) => self.recover(recovery),
        }
    }

    fn may_ask(&self) -> bool {
        let over = |failure: &Failure| failure.until <= Instant::now();
        self.failure.as_ref().is_none_or(over)
    }

    /// When the provider is asked for those who need its answer.
    fn forced_at(&self) -> Option<Instant> {
        let waits = !self.forced.is_empty();
        waits.then(|| self.forced_pace.next())
    }

    async fn forced(&mut self) {
        self.forced_pace.ask(Instant::now());
        let waiting = std::mem::take(&mut self.forced);
        self.refresh(Freshness::Fresh).await;
        for reply in waiting {
            let _ = reply.send(self.outcome(true));
        }
    }

    /// The answer for those who waited: for a forced refresh its failure, otherwise the credential while there is one.
    fn outcome(&self, forced: bool) -> Result<CredentialGuard, Error> {
        match (&self.failure, self.shared.current()) {
            (None, current) => current,
            (Some(_), Ok(credential)) if !forced => Ok(credential),
            (Some(failure), _) => Err(self.error(failure.error.clone())),
        }
    }

    /// Asks for AWSCURRENT, and makes it current.
    async fn refresh(&mut self, freshness: Freshness) {
        match self.fetch_current(freshness).await {
            // a rejected version does not come back while AWSPENDING, which was accepted, is still pending
            Ok((version, asked)) if self.displaced.as_ref() == Some(&version.id) => {
                match self.fetch(Stage::Pending, freshness).await {
                    Ok((pending, asked_after))
                        if pending.id == self.shared.last().credential().version() =>
                    {
                        self.install(pending, Stage::Pending, asked_after);
                    }
                    Err(error) if error.kind() != ProviderErrorKind::NotFound => self.failed(error),
                    _ => self.believe(version, asked),
                }
            }
            Ok((version, asked)) => self.believe(version, asked),
            Err(error) => self.failed(error),
        }
    }

    /// AWSCURRENT, and AWSPREVIOUS with it if that is kept.
    async fn fetch_current(&self, freshness: Freshness) -> Result<(Version, Asked), ProviderError> {
        current(self.settings.keeps_previous, |stage| {
            self.fetch(stage, freshness)
        })
        .await
    }

    /// One question. If the process was frozen during it (by Lambda, for example), a failure says nothing of the provider: then it
    /// is asked again.
    async fn fetch(
        &self,
        stage: Stage,
        freshness: Freshness,
    ) -> Result<(Version, Asked), ProviderError> {
        loop {
            let asked = Asked::now();
            let (answer, was_frozen) = self.fetch_once(stage, freshness).await;
            match answer {
                Err(error) if was_frozen && error.kind().is_transient() => {}
                answer => return answer.map(|version| (version, asked)),
            }
        }
    }

    /// One question, within its time limit, even if the bound is reached meanwhile. Also returns whether the process was frozen.
    async fn fetch_once(
        &self,
        stage: Stage,
        freshness: Freshness,
    ) -> (Result<Version, ProviderError>, bool) {
        let fetch = async {
            match freshness {
                Freshness::Cached => self.provider.fetch(&self.shared.id, stage).await,
                Freshness::Fresh => self.provider.fetch_uncached(&self.shared.id, stage).await,
            }
        };
        let mut fetch = std::pin::pin!(answered(self.settings.fetch_timeout, fetch));
        let mut was_frozen = false;
        let answer = loop {
            let felt = Asked::now();
            let answer = tokio::select! {
                biased;
                answer = &mut fetch => Some(answer),
                () = at(self.shared.last().ends_at()) => {
                    self.expire();
                    None
                }
                () = sleep(PULSE) => None,
            };
            was_frozen |= felt.elapsed() > FROZEN;
            if let Some(answer) = answer {
                break answer;
            }
        };
        count(self.shared.label.as_ref(), stage, answer.as_ref().err());
        (answer, was_frozen)
    }

    fn failed(&mut self, error: ProviderError) {
        let now = Instant::now();
        let (next, until) = if error.kind().is_transient() {
            let delay = self.backoff.next().unwrap_or(LONGEST_DELAY);
            (now + delay, now + delay)
        } else {
            // sooner than while the database announces changes
            let usual = self.lifetime_of(self.shared.last().credential(), self.settings.lifetime);
            (now + usual.refresh_after(fastrand::f64()), now + PERMANENT)
        };
        self.refresh_at = next;
        let age = self.shared.last().credential().age();
        tracing::warn!(secret = %self.shared.id, %error, ?age, again_in = ?(next - now), "the secret was not renewed");
        self.shared.failing.store(true, Ordering::SeqCst);
        if self.settings.ends_when_refused && is_refusal(&error) {
            self.shared.withdraw(|_| self.error(error.clone()));
        }
        self.failure = Some(Failure { error, until });
        self.record_age();
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

    fn error(&self, reason: ProviderError) -> Error {
        Error::Provider {
            secret: self.shared.id.clone(),
            reason,
        }
    }

    fn record_age(&self) {
        let age = self.shared.last().credential().age();
        // of several secrets under one name the last would count
        if self.shared.label.is_some() {
            let labels = labels(self.shared.label.as_ref());
            metrics::gauge!("rotating_secret_age_seconds", labels).set(age.as_secs_f64());
        }
    }
}

/// No handle is left, or the runtime has ended while handles still exist.
impl<P> Drop for Refresher<P> {
    fn drop(&mut self) {
        let secret = self.shared.id.clone();
        self.shared.withdraw(|_| Error::Stopped { secret });
        // nobody must wait for an answer that will not come
        self.asks.close();
        while let Ok(ask) = self.asks.try_recv() {
            drop(ask);
        }
    }
}

/// Whether the store itself refuses the secret. Credentials that cannot be loaded, and an answer that is none, say nothing of it.
fn is_refusal(error: &ProviderError) -> bool {
    match error.kind() {
        ProviderErrorKind::AccessDenied | ProviderErrorKind::NotFound => true,
        kind => !kind.is_transient() && error.refusal().is_some(),
    }
}

/// Waits until then, or forever.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// From a tenth of a second to half a minute, each with a random addition of up to the same length.
pub(crate) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_DELAY / 2)
        .with_jitter()
        .without_max_times()
}

/// The provider's answer. A timeout counts as one, and so does a panic, which must not end the secret.
pub(crate) async fn answered<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let no_answer = |message| ProviderError::new(ProviderErrorKind::Unavailable, message);
    match timeout(limit, AssertUnwindSafe(asked).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(no_answer(
            "the provider panicked: see its message on standard error",
        )),
        Err(_) => Err(no_answer(
            "no answer in time: check the route to the provider, and what gives its credentials",
        )
        .with_outage(Outage::TimedOut)),
    }
}

/// AWSCURRENT, and AWSPREVIOUS with it if that is kept.
///
/// In this order: if another version is promoted between the two questions, AWSPREVIOUS is what the first answer had as
/// AWSCURRENT, and AWSCURRENT is asked for again.
pub(crate) async fn current<F>(
    keeps_previous: bool,
    fetch: impl Fn(Stage) -> F,
) -> Result<(Version, Asked), ProviderError>
where
    F: Future<Output = Result<(Version, Asked), ProviderError>>,
{
    let (mut version, mut asked) = fetch(Stage::Current).await?;
    if keeps_previous {
        version.previous = match fetch(Stage::Previous).await {
            Ok((previous, _)) => {
                if previous.id == version.id {
                    (version, asked) = fetch(Stage::Current).await?;
                }
                // a store without stages may answer with the current one
                match previous.id == version.id {
                    true => Previous::None,
                    false => Previous::Read(Box::new(previous)),
                }
            }
            Err(error) if error.kind() == ProviderErrorKind::NotFound => Previous::None,
            Err(error) => Previous::Unread(error),
        };
    }
    Ok((version, asked))
}

/// The label of a metric: the secret, unless the secret is unlabelled.
fn labels(label: Option<&Arc<str>>) -> Vec<Label> {
    label
        .map(|label| Label::new("secret", label.to_string()))
        .into_iter()
        .collect()
}

/// Counts every question, and those that failed by kind. A missing pending or previous version is no failure.
pub(crate) fn count(label: Option<&Arc<str>>, stage: Stage, failed: Option<&ProviderError>) {
    metrics::counter!("rotating_secret_fetches_total", labels(label)).increment(1);
    let is_absent = |error: &&ProviderError| {
        stage != Stage::Current && error.kind() == ProviderErrorKind::NotFound
    };
    if let Some(error) = failed.filter(|error| !is_absent(error)) {
        let kind = error.kind().name();
        let mut labels = labels(label);
        labels.push(Label::new("kind", kind));
        metrics::counter!("rotating_secret_failures_total", labels).increment(1);
    }
}
