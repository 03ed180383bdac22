//! Keeps below a quota of requests a second, with room for whoever else uses it.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior, interval},
};

/// Secrets Manager takes 50 a second of RotateSecret, and of ListSecretVersionIds, in an account and region.
const EVERY: Duration = Duration::from_millis(25);

/// Hands out turns, 40 a second.
#[derive(Debug)]
pub struct Pace(Mutex<Interval>);

impl Pace {
    /// The first turn is at once.
    pub fn new() -> Self {
        let mut turns = interval(EVERY);
        // a turn that nobody took is lost: two in its stead would be a burst
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Mutex::new(turns))
    }

    /// Waits for one's turn.
    pub async fn turn(&self) {
        self.0.lock().await.tick().await;
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_turns_take_two_and_a_half_seconds_however_late_they_begin() {
        let pace = Pace::new();
        tokio::time::advance(Duration::from_secs(10)).await;
        let began = Instant::now();
        for _ in 0..101 {
            pace.turn().await;
        }
        let took = began.elapsed();
        assert!((2475..=2525).contains(&took.as_millis()), "{took:?}");
    }
}
