//! A rejected login: which version to try next.
//!
//! Waiting callers stand in a queue. One round of questions serves all of them, and so does any other change of the current
//! version. A store that lags has the next version later than the server does, so the rounds continue for as long as the store may
//! lag.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Freshness, Pace, Refresher, Reply, labels};
use crate::{
    error::Error,
    provider::{ProviderErrorKind, SecretProvider, Stage},
    slot::CredentialGuard,
};

/// AWSCURRENT may have moved. If it has not, a rotation may be between setSecret and finishSecret. If nothing is
/// pending, that rotation may have ended between these two questions.
const STAGES: [Stage; 3] = [Stage::Current, Stage::Pending, Stage::Current];

/// How many rounds are remembered for messages.
const KEPT: usize = 64;

/// The shortest pause between two rounds.
const CLOSEST: Duration = Duration::from_millis(200);

/// A caller that needs another version than those that the server rejected.
pub(crate) struct Recovery {
    pub(crate) tried: Vec<Arc<str>>,
    /// When the server rejected the first of them.
    pub(crate) since: Instant,
    pub(crate) until: Instant,
    pub(crate) reply: Reply,
}

/// A waiting caller.
struct Waiting {
    recovery: Recovery,
    came: Instant,
    /// The number of rounds when it came.
    after: u64,
}

impl Waiting {
    /// Whether none of these rounds was for it.
    fn is_new(&self, rounds: u64) -> bool {
        self.after == rounds
    }

    /// Even a caller with a short time gets one round, unless there were too many just now.
    fn ends(&self, rounds: u64) -> Instant {
        if self.is_new(rounds) {
            self.recovery.until.max(self.came + CLOSEST)
        } else {
            self.recovery.until
        }
    }
}

/// The waiting callers.
pub(super) struct Recovering {
    waiting: Vec<Waiting>,
    pace: Pace,
    /// The number of rounds, and the time of the last one.
    count: u64,
    rounds: VecDeque<Instant>,
    /// The versions that the last round found under AWSCURRENT and AWSPENDING.
    current: Option<String>,
    pending: Option<String>,
}

impl Default for Recovering {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            pace: Pace::new(CLOSEST),
            count: 0,
            rounds: VecDeque::with_capacity(KEPT),
            current: None,
            pending: None,
        }
    }
}

impl<P: SecretProvider> Refresher<P> {
    pub(super) fn recover(&mut self, recovery: Recovery) {
        let (after, came) = (self.recovering.count, Instant::now());
        self.recovering.waiting.push(Waiting {
            recovery,
            came,
            after,
        });
        self.serve();
    }

    /// When the next round is due, or the first caller has waited long enough.
    pub(super) fn round_at(&self) -> Option<Instant> {
        let recovering = &self.recovering;
        let ends = recovering
            .waiting
            .iter()
            .map(|one| one.ends(recovering.count));
        Some(ends.min()?.min(recovering.pace.next()))
    }

    /// One round for all waiting callers: each gets the first version that was not rejected for it.
    pub(super) async fn round(&mut self) {
        let waiting = &mut self.recovering.waiting;
        // no questions for a caller that has given up
        waiting.retain(|one| !one.recovery.reply.is_closed());
        if waiting.is_empty() {
            return;
        }
        // in this order: if there was no round yet, the next one is now
        let next = self.recovering.pace.next();
        let now = Instant::now();
        if next <= now {
            let questions = self.recovering.begin_round(now);
            self.ask_for_all(questions).await;
        }
        self.dismiss();
    }

    async fn ask_for_all(&mut self, questions: usize) {
        let labels = labels(self.shared.label.as_ref());
        metrics::counter!("rotating_secret_recoveries_total", labels).increment(1);
        for stage in STAGES.into_iter().take(questions) {
            let answer = match stage {
                Stage::Current => self.fetch_current(Freshness::Fresh).await,
                stage => self.fetch(stage, Freshness::Fresh).await,
            };
            match answer {
                Ok((version, asked)) if stage == Stage::Current => {
                    self.recovering.current = Some(version.id.clone());
                    let held = self.shared.last().credential().version_id().clone();
                    // a version that the server rejects is not protected against a store that may lag
                    if self.shared.rejections.is_doubted(&held) {
                        self.install(version, stage, asked);
                    } else {
                        self.believe(version, asked);
                    }
                }
                Ok((version, asked)) => {
                    self.recovering.pending = Some(version.id.clone());
                    let serves = |one: &Waiting| {
                        let tried = &one.recovery.tried;
                        tried.iter().all(|tried| **tried != *version.id)
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
                        waiting.iter_mut().for_each(|one| one.recovery.until = now);
                    }
                    return;
                }
            }
            if self.recovering.waiting.is_empty() {
                return;
            }
        }
    }

    /// Gives the current version to those for whom it was not rejected.
    pub(super) fn serve(&mut self) {
        let slot = self.shared.last();
        if !slot.is_usable() {
            return;
        }
        let version = slot.credential().version_id();
        let serves = |one: &mut Waiting| !one.recovery.tried.contains(version);
        for one in self.recovering.waiting.extract_if(.., serves) {
            let _ = one
                .recovery
                .reply
                .send(Ok(CredentialGuard::of(slot.clone())));
        }
    }

    /// Sends the error to those who have waited long enough.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let rounds = self.recovering.count;
        let tired = |one: &mut Waiting| one.ends(rounds) <= now;
        let tired: Vec<_> = self.recovering.waiting.extract_if(.., tired).collect();
        for Waiting { recovery, .. } in tired {
            let error = match &self.failure {
                Some(failure) => self.error(failure.error.clone()),
                None => Error::Rejected {
                    secret: self.shared.id.clone(),
                    tried: recovery.tried.join(", "),
                    asked: self.recovering.asked(recovery.since),
                },
            };
            tracing::warn!(%error, "a login was rejected, and there is nothing else to try");
            let _ = recovery.reply.send(Err(error));
        }
    }
}

impl Recovering {
    /// The number of questions in the round: callers who have had a round need no third one, because the next round comes soon.
    fn begin_round(&mut self, now: Instant) -> usize {
        let questions = match self.waiting.iter().any(|one| one.is_new(self.count)) {
            true => STAGES.len(),
            false => STAGES.len() - 1,
        };
        self.pace.ask(now);
        self.count += 1;
        if self.rounds.len() == KEPT {
            self.rounds.pop_front();
        }
        self.rounds.push_back(now);
        questions
    }

    /// What the provider was asked since then, and its answers.
    fn asked(&self, since: Instant) -> String {
        let times = self.rounds.iter().filter(|round| since <= **round).count();
        if times == 0 {
            return "was asked so often just now that it was not asked again".to_owned();
        }
        let has = |id: &Option<String>| id.as_deref().unwrap_or("nothing").to_owned();
        let waited = since.elapsed();
        format!(
            "was asked {times} times in {:.1} s and has {} as AWSCURRENT, {} as AWSPENDING",
            waited.as_secs_f64(),
            has(&self.current),
            has(&self.pending)
        )
    }
}
