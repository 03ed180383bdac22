//! A rejected login: which version to try next.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Refresher, Reply};
use crate::{
    error::Error,
    provider::{ProviderErrorKind, SecretProvider, Stage},
    slot::CredentialGuard,
};

/// One who waits, and the versions that the server rejected.
pub(super) struct Recovery {
    pub(super) tried: Vec<Arc<str>>,
    pub(super) reply: Reply,
}

/// AWSCURRENT may have moved. While it has not, a rotation may be between setSecret and finishSecret. If nothing is
/// pending, that rotation may have ended between these two questions.
const STAGES: [Stage; 3] = [Stage::Current, Stage::Pending, Stage::Current];

impl<P: SecretProvider> Refresher<P> {
    /// One question for all who wait: each gets the first version that was not rejected for it.
    pub(super) async fn recover(&mut self, mut waiting: Vec<Recovery>) {
        self.serve(&mut waiting);
        if waiting.is_empty() {
            return;
        }
        if !self.questions.allow(Instant::now()) {
            return self.rejected(waiting);
        }
        metrics::counter!("rotating_secret_recoveries_total", "secret" => self.shared.id.to_string()).increment(1);
        let mut current = None;
        for stage in STAGES {
            let (version, asked) = match self.fetch(stage).await {
                Ok(found) => found,
                Err(error)
                    if stage == Stage::Pending && error.kind() == ProviderErrorKind::NotFound =>
                {
                    continue;
                }
                Err(error) => {
                    let told = self.error(error.clone());
                    self.failed(error);
                    for recovery in waiting {
                        let _ = recovery.reply.send(Err(told.clone()));
                    }
                    return;
                }
            };
            if stage == Stage::Current {
                current = Some((version.clone(), asked));
            }
            let rejected =
                |recovery: &Recovery| recovery.tried.iter().any(|tried| **tried == version.id);
            if waiting.iter().all(rejected) {
                continue;
            }
            let displaced = current.as_ref().map(|(current, _)| current.id.clone());
            self.install(version, stage, asked);
            if stage == Stage::Pending {
                self.displaced = displaced;
            }
            self.serve(&mut waiting);
            if waiting.is_empty() {
                return;
            }
        }
        // whatever it is, it is in force by the provider's word
        if let Some((version, asked)) = current {
            self.install(version, Stage::Current, asked);
        }
        self.rejected(waiting);
    }

    /// Gives what is in force to those for whom it was not rejected.
    fn serve(&self, waiting: &mut Vec<Recovery>) {
        let slot = self.shared.last();
        if !slot.is_usable() {
            return;
        }
        let version = slot.credential().version_id().clone();
        let serves = |recovery: &mut Recovery| !recovery.tried.contains(&version);
        for recovery in waiting.extract_if(.., serves) {
            let _ = recovery.reply.send(Ok(CredentialGuard::of(slot.clone())));
        }
    }

    fn rejected(&self, waiting: Vec<Recovery>) {
        for Recovery { tried, reply } in waiting {
            let error = Error::Rejected {
                secret: self.shared.id.clone(),
                tried: tried.join(", "),
            };
            tracing::warn!(%error, "a login was rejected, and there is nothing else to try");
            let _ = reply.send(Err(error));
        }
    }
}

/// When questions were asked: ten may follow each other closely, for rotations that do; in the long run one a second.
#[derive(Default)]
pub(super) struct Questions(VecDeque<Instant>);

impl Questions {
    const BURST: usize = 10;
    const WITHIN: Duration = Duration::from_secs(10);

    fn allow(&mut self, now: Instant) -> bool {
        while self
            .0
            .front()
            .is_some_and(|asked| now >= *asked + Self::WITHIN)
        {
            self.0.pop_front();
        }
        let allowed = self.0.len() < Self::BURST;
        if allowed {
            self.0.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_questions_may_follow_each_other_and_then_no_more_than_ten_in_ten_seconds() {
        let start = Instant::now();
        let mut questions = Questions::default();
        let asked = (0..100).filter(|_| questions.allow(start)).count();
        assert_eq!(asked, 10);
        assert!(!questions.allow(start + Duration::from_millis(9_999)));
        assert!(questions.allow(start + Duration::from_secs(10)));
    }
}
