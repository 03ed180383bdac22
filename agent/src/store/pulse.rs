//! Detects that the process was frozen: by SIGSTOP, a suspended machine, or Lambda between two invocations.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How often to call `feel`.
pub const BETWEEN: Duration = Duration::from_millis(500);

/// After this long without a call, the process was frozen, and no renewal was in time.
const FROZEN: Duration = Duration::from_secs(1);

pub(super) struct Pulse {
    felt: Instant,
    /// The runtime's clock stops while the machine is suspended. The wall clock does not.
    by_the_wall: SystemTime,
    thawed: Option<Instant>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            felt: Instant::now(),
            by_the_wall: SystemTime::now(),
            thawed: None,
        }
    }

    /// Records that the process runs `now`. Returns how long ago the last freeze ended, if there was one.
    pub(super) fn feel(&mut self, now: Instant) -> Option<Duration> {
        let wall = SystemTime::now();
        let by_the_wall = wall.duration_since(self.by_the_wall).unwrap_or_default();
        if now.duration_since(self.felt).max(by_the_wall) > FROZEN {
            self.thawed = Some(now);
        }
        (self.felt, self.by_the_wall) = (now, wall);
        self.thawed.map(|thawed| now - thawed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pulse_that_fails_is_a_freeze_and_one_that_is_felt_is_none() {
        let mut pulse = Pulse::new();
        for _ in 0..10 {
            tokio::time::advance(BETWEEN).await;
            assert_eq!(pulse.feel(Instant::now()), None);
        }
        tokio::time::advance(3 * FROZEN).await;
        assert_eq!(pulse.feel(Instant::now()), Some(Duration::ZERO));
        tokio::time::advance(BETWEEN).await;
        assert_eq!(pulse.feel(Instant::now()), Some(BETWEEN));
    }

    #[test]
    fn a_suspended_machine_is_found_by_the_walls_clock() {
        let mut pulse = Pulse::new();
        pulse.by_the_wall -= Duration::from_secs(3600);
        assert!(pulse.feel(Instant::now()).is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_freeze() {
        let mut pulse = Pulse::new();
        pulse.by_the_wall += Duration::from_secs(3600);
        assert_eq!(pulse.feel(Instant::now()), None);
    }
}
