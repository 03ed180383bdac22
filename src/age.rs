//! The age check: the age of the oldest credential that this function rotates, and the secrets whose rotation is overdue.
//!
//! A failed rotation has an error. A rotation that never begins has none: someone turned rotation off, Secrets Manager cannot
//! invoke the function, or it gave up. So a schedule invokes the function with `{"Check": "age"}`.

use std::time::{Duration, SystemTime};

use crate::store::Scheduled;

/// What an age check finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ages {
    /// How many secrets this function rotates.
    pub secrets: usize,
    /// The longest time since a rotation, or since the creation of a secret that never rotated; `None` without secrets.
    pub oldest: Option<Duration>,
    /// The names of the overdue secrets.
    pub overdue: Vec<String>,
}

impl Ages {
    /// A secret is overdue when the service's own `NextRotationDate` has passed: the rotation begins before that date, and
    /// after a failure the date stays in the past (docs). A secret without this date rotates by hand only.
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
    fn a_clock_behind_the_services_gives_no_age() {
        let now = SystemTime::now();
        let ages = Ages::of(&[secret("new", now + HOUR, Some(now + 2 * HOUR))], now);
        assert_eq!((ages.oldest, ages.overdue), (None, Vec::new()));
    }
}
