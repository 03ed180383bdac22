//! A time as people write it.

use std::time::Duration;

use humantime::DurationError;

/// humantime 2.4 panics if milliseconds carry the seconds over 64 bits. The shortest such text has 26 bytes: `5124095576030431h15s1000ms`.
const LONGEST_TEXT: usize = 20;

/// Reads `24h`, `30m`, `1h 30m`.
///
/// # Errors
///
/// It is no time, or longer than 20 bytes.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    match text.len() <= LONGEST_TEXT {
        true => humantime::parse_duration(text),
        false => Err(DurationError::NumberOverflow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_humantime_cannot_add_up_is_an_error() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for text in [
            "5124095576030431h15s1000ms",
            "18446744073709551615s1000ms",
            "584542046091years",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
