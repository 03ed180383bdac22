//! Keeps below a quota of requests a second, with room for whoever else uses it.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior, interval},
};

/// Requests under way at once: each waits for the network most of its time.
pub const AT_ONCE: usize = 10;

/// Hands out turns at a steady rate.
#[derive(Debug)]
pub struct Pace(Mutex<Interval>);

impl Pace {
    /// For Secrets Manager's quota of 50 requests a second (RotateSecret; ListSecretVersionIds): 40.
    ///
    /// The first turn is at once.
    pub fn of_secrets_manager() -> Self {
        Self::every(Duration::from_millis(25))
    }

    /// For FilterLogEvents, of which CloudWatch Logs takes 10 a second and in some regions 5: 4.
    pub fn of_logs() -> Self {
        Self::every(Duration::from_millis(250))
    }

    fn every(pause: Duration) -> Self {
        let mut turns = interval(pause);
        // a turn that nobody took is lost: two in its stead would be a burst
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Mutex::new(turns))
    }

    /// Waits for one's turn.
    pub async fn turn(&self) {
        self.0.lock().await.tick().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_turns_take_two_and_a_half_seconds_however_late_they_begin() {
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
