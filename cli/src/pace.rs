//! Keeps below a quota of requests per second, and leaves room for its other users.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior, interval},
};

/// Concurrent requests: each one mostly waits for the network.
pub const AT_ONCE: usize = 10;

/// Hands out turns at a steady rate.
#[derive(Debug)]
pub struct Pace(Mutex<Interval>);

impl Pace {
    /// For ListSecretVersionIds: 40 requests per second. Secrets Manager's quota is 50.
    ///
    /// The first turn is immediate.
    pub fn of_secrets_manager() -> Self {
        Self::every(Duration::from_millis(25))
    }

    /// For RotateSecret: 20 requests per second. Its own quota is 50, but the function writes twice in a rotation (PutSecretValue and
    /// UpdateSecretVersionStage), and all writes of an account share 50.
    pub fn of_rotations() -> Self {
        Self::every(Duration::from_millis(50))
    }

    /// For BatchGetSecretValue: 80 requests per second, of 20 secrets each. Secrets Manager's quota is 100.
    pub fn of_batches() -> Self {
        Self::every(Duration::from_micros(12_500))
    }

    /// For FilterLogEvents: 4 requests per second. CloudWatch Logs allows 10, and 5 in some regions.
    pub fn of_logs() -> Self {
        Self::every(Duration::from_millis(250))
    }

    fn every(pause: Duration) -> Self {
        let mut turns = interval(pause);
        // a missed turn is lost: two turns at once would be a burst
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Mutex::new(turns))
    }

    /// Waits for the next turn.
    pub async fn turn(&self) {
        self.0.lock().await.tick().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_turns_take_two_and_a_half_seconds_even_if_they_begin_late() {
        let pace = Pace::of_secrets_manager();
        tokio::time::advance(Duration::from_secs(10)).await;
        let began = Instant::now();
        for _ in 0..101 {
            pace.turn().await;
        }
        let took = began.elapsed();
        assert!((2475..=2525).contains(&took.as_millis()), "{took:?}");
    }
}
