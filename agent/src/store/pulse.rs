//! Whether the process was frozen: by SIGSTOP, a suspended machine, or Lambda between two invocations.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How often the pulse is felt.
pub const BETWEEN: Duration = Duration::from_millis(500);

/// Without a pulse for so long, the process did not run, and nothing was renewed in time.
const FROZEN: Duration = Duration::from_secs(1);

pub(super) struct Pulse {
    felt: Instant,
    /// The runtime's clock stands still while the machine is suspended, the wall's does not.
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

    /// The process runs. Returns how long ago it was thawed, if it was ever frozen.
    pub(super) fn feel(&mut self) -> Option<Duration> {
        let by_the_wall = self.by_the_wall.elapsed().unwrap_or_default();
        if self.felt.elapsed().max(by_the_wall) > FROZEN {
            self.thawed = Some(Instant::now());
        }
        self.felt = Instant::now();
        self.by_the_wall = SystemTime::now();
        self.thawed.map(|thawed| thawed.elapsed())
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
            assert_eq!(pulse.feel(), None);
        }
        tokio::time::advance(3 * FROZEN).await;
        assert_eq!(pulse.feel(), Some(Duration::ZERO));
        tokio::time::advance(BETWEEN).await;
        assert_eq!(pulse.feel(), Some(BETWEEN));
    }

    #[test]
    fn a_suspended_machine_is_found_by_the_walls_clock() {
        let mut pulse = Pulse::new();
        pulse.by_the_wall -= Duration::from_secs(3600);
        assert!(pulse.feel().is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_freeze() {
        let mut pulse = Pulse::new();
        pulse.by_the_wall += Duration::from_secs(3600);
        assert_eq!(pulse.feel(), None);
    }
}
