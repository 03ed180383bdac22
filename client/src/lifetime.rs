//! How long a version may be used: pure rules, without a clock and without randomness.
//!
//! ```text
//! fetched         renewed in here     ttl                        bound      overlap window
//! ├───────────────┼──────────────────┼──────────────────────────┼──────────┤
//!   used                               used while the provider     an error   the old credential
//!                                      gives no answer                        may have ended
//! ```

use std::time::Duration;

use crate::error::BuildError;

/// The default lifetime.
pub(crate) const USUAL: Duration = Duration::from_secs(5 * 60);

/// The lifetime while the database announces changes. Its end finds a change that was not announced, because the session is
/// dead and nobody has noticed yet.
const WHILE_ANNOUNCED: Duration = Duration::from_secs(60 * 60);

/// How long a version is used without a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// Before this is over, the provider is asked again.
    pub(crate) ttl: Duration,
    /// When this is over, the credential may not be used any more. Between `ttl` and the overlap window.
    pub(crate) bound: Duration,
}

impl Lifetime {
    /// The builder's settings, checked.
    pub(crate) fn new(ttl: Duration, overlap: Duration) -> Result<Self, BuildError> {
        if ttl.is_zero() {
            return Err(BuildError::NoTtl);
        }
        if ttl >= overlap {
            return Err(BuildError::TtlNotBelowOverlap { ttl, overlap });
        }
        Ok(Self::below(ttl, overlap))
    }

    /// Leaves a tenth of the time between them for a login with a credential that was read at the last moment.
    fn below(ttl: Duration, overlap: Duration) -> Self {
        let bound = overlap - (overlap - ttl) / 10;
        Self { ttl, bound }
    }

    /// Lengthened while the database announces changes: half of the bound at most, so that a notification may be lost and the
    /// provider may fail for as long again.
    pub(crate) fn while_announced(self) -> Self {
        let ttl = WHILE_ANNOUNCED.min(self.bound / 2).max(self.ttl);
        Self { ttl, ..self }
    }

    /// Shortened to a window that the document announces, or to a lease of the store, if that is shorter.
    ///
    /// A window of zero announces that there is no overlap, and no lifetime can be below it: then a rejected login shows the
    /// change, and the lifetime stays.
    pub(crate) fn within(self, window: Option<Duration>) -> Self {
        match window {
            Some(window) if !window.is_zero() && window < self.bound => {
                Self::below(self.ttl.min(window / 2), window)
            }
            _ => self,
        }
    }

    /// When to ask again, for a random number from 0 to 1.
    pub(crate) fn refresh_after(self, random: f64) -> Duration {
        self.ttl.mul_f64(0.75 + 0.2 * random)
    }

    /// When to ask again after what a whole fleet sees at one moment: a start, a change, an outage, the end of announcements. The
    /// calls of 10,000 clients are then even from the first `ttl` on; from three quarters of it they came in five times the mean.
    pub(crate) fn refresh_apart(self, random: f64) -> Duration {
        self.ttl.mul_f64(0.25 + 0.7 * random)
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_ttl_that_is_not_below_the_overlap_window_is_refused() {
        for (ttl, overlap) in [(HOUR, HOUR), (2 * HOUR, HOUR), (HOUR, Duration::ZERO)] {
            let refused = Lifetime::new(ttl, overlap).unwrap_err();
            assert!(
                matches!(refused, BuildError::TtlNotBelowOverlap { .. }),
                "{refused}"
            );
        }
        assert!(matches!(
            Lifetime::new(Duration::ZERO, HOUR),
            Err(BuildError::NoTtl)
        ));
    }

    #[test]
    fn the_bound_lies_between_the_ttl_and_the_overlap_window() {
        for (ttl, overlap) in [
            (5 * MINUTE, 24 * HOUR),
            (HOUR - MINUTE, HOUR),
            (MINUTE, 2 * MINUTE),
        ] {
            let lifetime = Lifetime::new(ttl, overlap).unwrap();
            assert!(
                lifetime.ttl < lifetime.bound && lifetime.bound < overlap,
                "{lifetime:?}"
            );
        }
    }

    #[test]
    fn a_shorter_window_shortens_both_and_a_longer_one_changes_nothing() {
        let usual = Lifetime::new(5 * MINUTE, 24 * HOUR).unwrap();
        let shortened = usual.within(Some(2 * MINUTE));
        assert_eq!(shortened.ttl, MINUTE);
        assert!(
            shortened.bound > MINUTE && shortened.bound < 2 * MINUTE,
            "{shortened:?}"
        );
        let bounded = usual.within(Some(HOUR));
        assert_eq!(bounded.ttl, 5 * MINUTE);
        assert!(bounded.bound < HOUR, "{bounded:?}");
        for window in [None, Some(48 * HOUR), Some(Duration::ZERO)] {
            assert_eq!(usual.within(window), usual);
        }
    }

    #[test]
    fn with_notifications_the_lifetime_is_an_hour_or_half_of_the_bound_and_the_bound_stays() {
        for (overlap, ttl) in [
            (24 * HOUR, HOUR),
            (3 * HOUR, HOUR),
            (40 * MINUTE, 18 * MINUTE + Duration::from_secs(15)),
            (6 * MINUTE, USUAL),
        ] {
            let usual = Lifetime::new(USUAL, overlap).unwrap();
            let longer = usual.while_announced();
            assert_eq!(
                (longer.ttl, longer.bound),
                (ttl, usual.bound),
                "{overlap:?}"
            );
            assert!(longer.ttl < longer.bound, "{longer:?}");
        }
        let longer = Lifetime::new(USUAL, 24 * HOUR).unwrap().while_announced();
        assert_eq!(longer.within(Some(2 * MINUTE)).ttl, MINUTE);
    }

    #[test]
    fn the_cost_of_asking_is_as_documented() {
        let usual = Lifetime::new(USUAL, 24 * HOUR).unwrap();
        let page = include_str!("lib.rs");
        for (lifetime, calls) in [(usual, "10,165"), (usual.while_announced(), "847")] {
            let month = 30 * 24 * HOUR;
            let asked = month.div_duration_f64(lifetime.refresh_after(0.5)).round();
            assert_eq!(format!("{asked}"), calls.replace(',', ""));
            let dollars = asked * 0.05 / 10_000.0;
            let row = format!("| {calls} | ${dollars:.3} | ${:.2} |", dollars * 300.0);
            assert!(page.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_client_asks_again_in_the_last_quarter_of_the_ttl_and_apart_from_its_fleet_in_the_last_three()
     {
        let lifetime = Lifetime::new(100 * MINUTE, 24 * HOUR).unwrap();
        assert_eq!(lifetime.refresh_after(0.0), 75 * MINUTE);
        assert_eq!(lifetime.refresh_after(1.0), 95 * MINUTE);
        assert_eq!(lifetime.refresh_apart(0.0), 25 * MINUTE);
        assert_eq!(lifetime.refresh_apart(1.0), 95 * MINUTE);
    }
}
