//! The age check: how old the oldest credential is that this function rotates, and which should have rotated and has not.
//!
//! A rotation that fails is told by its error. One that never begins tells nobody: rotation was turned off, the function cannot
//! be invoked, or the service gave up. So a schedule invokes the function with `{"Check": "age"}`.

use std::time::{Duration, SystemTime};

use crate::store::Scheduled;

/// What an age check finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ages {
    /// How many secrets this function rotates.
    pub secrets: usize,
    /// The time since the rotation that is longest ago, or since the secret was made if it never rotated; none without
    /// secrets.
    pub oldest: Option<Duration>,
    /// The names of those that should have rotated and have not.
    pub overdue: Vec<String>,
}

impl Ages {
    /// A secret is overdue once the service's own `NextRotationDate` has passed: the rotation begins before that date, and
    /// where it fails the date stays in the past (docs). A secret that has none rotates by hand only.
    pub fn of(secrets: &[Scheduled], now: SystemTime) -> Self {
        let age = |secret: &Scheduled| now.duration_since(secret.since?).ok();
        let overdue = |secret: &&Scheduled| secret.next.is_some_and(|next| next < now);
        Self {
            secrets: secrets.len(),
            oldest: secrets.iter().filter_map(age).max(),
            overdue: secrets
                .iter()
                .filter(overdue)
                .map(|secret| secret.name.clone())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn secret(name: &str, since: SystemTime, next: Option<SystemTime>) -> Scheduled {
        Scheduled {
            name: name.to_owned(),
            since: Some(since),
            next,
        }
    }

    #[test]
    fn the_oldest_counts_and_those_whose_date_has_passed_are_overdue() {
        let now = SystemTime::now();
        let secrets = [
            secret("in time", now - 30 * HOUR, Some(now + HOUR)),
            secret("late", now - 20 * HOUR, Some(now - HOUR)),
            secret("due this very moment", now - 10 * HOUR, Some(now)),
            secret("by hand", now - 40 * HOUR, None),
        ];
        let ages = Ages::of(&secrets, now);
        assert_eq!(ages.secrets, 4);
        assert_eq!(ages.oldest, Some(40 * HOUR));
        assert_eq!(ages.overdue, ["late"]);
    }

    #[test]
    fn without_secrets_there_is_no_age() {
        let ages = Ages::of(&[], SystemTime::now());
        assert_eq!((ages.secrets, ages.oldest), (0, None));
        assert!(ages.overdue.is_empty());
    }

    #[test]
    fn a_clock_that_is_behind_the_services_makes_no_age() {
        let now = SystemTime::now();
        let ages = Ages::of(&[secret("new", now + HOUR, Some(now + 2 * HOUR))], now);
        assert_eq!((ages.oldest, ages.overdue), (None, Vec::new()));
    }
}
