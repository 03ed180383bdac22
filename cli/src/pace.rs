//! Keeps below the services' quotas of calls per second, and leaves room for their other users.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// Concurrent requests: each one mostly waits for the network.
pub const AT_ONCE: usize = 10;

/// Operations as the header `x-amz-target` names them, and the pause after the begin of a call.
const PAUSES: [(&str, Duration); 6] = [
    // 50 of 100 calls per second
    ("secretsmanager.ListSecrets", Duration::from_millis(20)),
    // 80 of 100, of 20 secrets each: with fewer, a long list takes longer
    (
        "secretsmanager.BatchGetSecretValue",
        Duration::from_micros(12_500),
    ),
    // 40 of 50
    (
        "secretsmanager.ListSecretVersionIds",
        Duration::from_millis(25),
    ),
    (
        "secretsmanager.GetResourcePolicy",
        Duration::from_millis(25),
    ),
    // 20 of 50: the function writes twice in a rotation (PutSecretValue and UpdateSecretVersionStage), and all writes of an account
    // share 50
    ("secretsmanager.RotateSecret", Duration::from_millis(50)),
    // 4 of 10 of CloudWatch Logs, which are 5 in some regions
    ("Logs_20140328.FilterLogEvents", Duration::from_millis(250)),
];

/// The pace of each operation that has one.
#[derive(Debug)]
pub struct Paces([(&'static str, Pace); PAUSES.len()]);

impl Paces {
    /// The pace of an operation, as the header `x-amz-target` names it.
    pub fn of(&self, operation: &str) -> Option<&Pace> {
        let mut paces = self.0.iter();
        paces.find_map(|(paced, pace)| (*paced == operation).then_some(pace))
    }
}

/// The first call of each operation is immediate.
impl Default for Paces {
    fn default() -> Self {
        Self(PAUSES.map(|(operation, pause)| (operation, Pace::every(pause))))
    }
}

/// Hands out turns that are at least a pause apart.
#[derive(Debug)]
pub struct Pace {
    pause: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    fn every(pause: Duration) -> Self {
        Self {
            pause,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for the next turn.
    ///
    /// A turn that comes late delays the next ones: to catch up, some would have to be closer together, and a second would have more
    /// turns than the pace.
    pub async fn turn(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + self.pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_turns_take_two_and_a_half_seconds_even_if_they_begin_late() {
        let paces = Paces::default();
        let pace = paces.of("secretsmanager.ListSecretVersionIds").unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        let began = Instant::now();
        for _ in 0..101 {
            pace.turn().await;
        }
        let took = began.elapsed();
        assert!((2475..=2525).contains(&took.as_millis()), "{took:?}");
    }
}
