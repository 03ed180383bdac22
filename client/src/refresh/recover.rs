//! A rejected login: which version to try next.
//!
//! Those who wait stand in a queue. All are served by one round of questions, and by whatever else puts another version in
//! force. A store that lags has the next version later than the server does, so the rounds go on for as long as it may.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Pace, Refresher, Reply};
use crate::{
    error::Error,
    provider::{ProviderErrorKind, SecretProvider, Stage},
    slot::CredentialGuard,
};

/// AWSCURRENT may have moved. While it has not, a rotation may be between setSecret and finishSecret. If nothing is
/// pending, that rotation may have ended between these two questions.
const STAGES: [Stage; 3] = [Stage::Current, Stage::Pending, Stage::Current];

/// Between two rounds.
const CLOSEST: Duration = Duration::from_millis(200);

/// One who waits, and the versions that the server rejected.
struct Recovery {
    tried: Vec<Arc<str>>,
    since: Instant,
    until: Instant,
    /// How often the provider was asked meanwhile.
    rounds: u32,
    reply: Reply,
}

impl Recovery {
    /// However short its time is, it has one round, unless there were too many just now.
    fn ends(&self) -> Instant {
        if self.rounds == 0 {
            self.until.max(self.since + CLOSEST)
        } else {
            self.until
        }
    }
}

/// Those who wait.
pub(super) struct Recovering {
    waiting: Vec<Recovery>,
    pace: Pace,
    /// The versions that the last round found under AWSCURRENT and AWSPENDING.
    current: Option<String>,
    pending: Option<String>,
}

impl Default for Recovering {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            pace: Pace::new(CLOSEST),
            current: None,
            pending: None,
        }
    }
}

impl<P: SecretProvider> Refresher<P> {
    pub(super) fn recover(&mut self, tried: Vec<Arc<str>>, until: Instant, reply: Reply) {
        let waiting = &mut self.recovering.waiting;
        // who has given up is not asked for
        waiting.retain(|recovery| !recovery.reply.is_closed());
        waiting.push(Recovery {
            tried,
            since: Instant::now(),
            until,
            rounds: 0,
            reply,
        });
        self.serve();
    }

    /// When the next round is, or the first of those who wait has waited for long enough.
    pub(super) fn round_at(&self) -> Option<Instant> {
        let waiting = &self.recovering.waiting;
        let longest = waiting.iter().map(Recovery::ends).min()?;
        Some(longest.min(self.next_round()))
    }

    fn next_round(&self) -> Instant {
        let next = self.recovering.pace.next();
        self.failure
            .as_ref()
            .map_or(next, |failure| next.max(failure.until))
    }

    /// One round for all who wait: each gets the first version that was not rejected for it.
    pub(super) async fn round(&mut self) {
        // in this order: without a round yet, the next one is now
        let next = self.next_round();
        let now = Instant::now();
        if next <= now {
            self.recovering.pace.ask(now);
            self.ask_for_all().await;
        }
        self.dismiss();
    }

    async fn ask_for_all(&mut self) {
        metrics::counter!("rotating_secret_recoveries_total", "secret" => self.shared.id.to_string()).increment(1);
        for recovery in &mut self.recovering.waiting {
            recovery.rounds += 1;
        }
        for (question, stage) in STAGES.into_iter().enumerate() {
            let is_new = |recovery: &Recovery| recovery.rounds == 1;
            if question == 2 && !self.recovering.waiting.iter().any(is_new) {
                return; // the next round comes soon
            }
            match self.fetch(stage).await {
                Ok((version, asked)) if stage == Stage::Current => {
                    self.recovering.current = Some(version.id.clone());
                    let held = self.shared.last().credential().version_id().clone();
                    // what the server rejects is not defended against a store that may lag
                    if self.shared.rejections.opens(&held).is_some() {
                        self.install(version, stage, asked);
                    } else {
                        self.believe(version, asked);
                    }
                }
                Ok((version, asked)) => {
                    self.recovering.pending = Some(version.id.clone());
                    let serves = |recovery: &Recovery| {
                        recovery.tried.iter().all(|tried| **tried != *version.id)
                    };
                    if self.recovering.waiting.iter().any(serves) {
                        self.install(version, stage, asked);
                        self.displaced = self.recovering.current.clone();
                    }
                }
                Err(error)
                    if stage == Stage::Pending && error.kind() == ProviderErrorKind::NotFound =>
                {
                    self.recovering.pending = None;
                }
                Err(error) => {
                    let passes = error.kind().is_transient();
                    self.failed(error);
                    if !passes {
                        let now = Instant::now();
                        let waiting = &mut self.recovering.waiting;
                        waiting.iter_mut().for_each(|recovery| recovery.until = now);
                    }
                    return;
                }
            }
            if self.recovering.waiting.is_empty() {
                return;
            }
        }
    }

    /// Gives what is in force to those for whom it was not rejected.
    pub(super) fn serve(&mut self) {
        let slot = self.shared.last();
        if !slot.is_usable() {
            return;
        }
        let version = slot.credential().version_id();
        let serves = |recovery: &mut Recovery| !recovery.tried.contains(version);
        for recovery in self.recovering.waiting.extract_if(.., serves) {
            let _ = recovery.reply.send(Ok(CredentialGuard::of(slot.clone())));
        }
    }

    /// Tells those who have waited for long enough.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let tired = |recovery: &mut Recovery| recovery.ends() <= now;
        let tired: Vec<_> = self.recovering.waiting.extract_if(.., tired).collect();
        for recovery in tired {
            let error = match &self.failure {
                Some(failure) => self.error(failure.error.clone()),
                None => Error::Rejected {
                    secret: self.shared.id.clone(),
                    tried: recovery.tried.join(", "),
                    asked: self.recovering.asked(&recovery),
                },
            };
            tracing::warn!(%error, "a login was rejected, and there is nothing else to try");
            let _ = recovery.reply.send(Err(error));
        }
    }
}

impl Recovering {
    /// What the provider was asked for one who waited, and what it had.
    fn asked(&self, recovery: &Recovery) -> String {
        if recovery.rounds == 0 {
            return "was asked so often just now that it was not asked again".to_owned();
        }
        let has = |id: &Option<String>| id.as_deref().unwrap_or("nothing").to_owned();
        let (times, waited) = (recovery.rounds, recovery.since.elapsed());
        format!(
            "was asked {times} times in {:.1} s and has {} as AWSCURRENT, {} as AWSPENDING",
            waited.as_secs_f64(),
            has(&self.current),
            has(&self.pending)
        )
    }
}
