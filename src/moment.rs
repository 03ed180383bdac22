//! A moment as text. A server, a service, or anyone who writes a secret may name any, and a timestamp has only the years
//! 1970 to 9999.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999.
const END_OF_9999: Duration = Duration::from_secs(253_402_300_799);

/// In UTC and without fractions: `2026-11-21T10:29:54Z`. A time outside of these years is shown as the nearest one within.
pub fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(nearest(time)).to_string()
}

/// This time, or the nearest one within these years.
pub(crate) fn nearest(time: SystemTime) -> SystemTime {
    time.clamp(UNIX_EPOCH, UNIX_EPOCH + END_OF_9999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_outside_the_years_of_a_timestamp_is_shown_as_the_nearest_one_within() {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        for (time, expected) in [
            (UNIX_EPOCH - DAY, "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH + END_OF_9999 + DAY, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(shown(time), expected);
        }
    }
}
