//! How often callers can make the task ask the provider: ten questions may follow each other closely, because rotations can; in the
//! long run it is one a second.

use std::time::Duration;

use tokio::time::Instant;

const BETWEEN: Duration = Duration::from_secs(1);
const BURST: u32 = 10;

pub(super) struct Pace {
    /// The shortest pause between two questions.
    closest: Duration,
    /// When it was last asked, and when all its questions would be over at one a second.
    asked: Option<(Instant, Instant)>,
}

impl Pace {
    pub(super) fn new(closest: Duration) -> Self {
        Self {
            closest,
            asked: None,
        }
    }

    /// When the next question may be asked; this may be in the past.
    pub(super) fn next(&self) -> Instant {
        let Some((last, paid)) = self.asked else {
            return Instant::now();
        };
        let burst = paid.checked_sub(BETWEEN * (BURST - 1));
        burst.unwrap_or(last).max(last + self.closest)
    }

    pub(super) fn ask(&mut self, now: Instant) {
        let paid = self.asked.map_or(now, |(_, paid)| paid.max(now));
        self.asked = Some((now, paid + BETWEEN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_requests_may_follow_each_other_and_then_one_a_second() {
        let start = Instant::now() + Duration::from_secs(60);
        let closest = Duration::from_millis(100);
        let mut pace = Pace::new(closest);
        let mut now = start;
        let mut asked = Vec::new();
        for _ in 0..13 {
            now = pace.next().max(now);
            pace.ask(now);
            asked.push((now - start).as_millis());
        }
        let burst = [0, 100, 200, 300, 400, 500, 600, 700, 800, 900];
        assert_eq!(asked[..10], burst);
        assert_eq!(asked[10..], [1000, 2000, 3000]);
        // a pause earns a burst again
        now += Duration::from_secs(60);
        pace.ask(now);
        assert_eq!(pace.next(), now + closest);
    }
}
