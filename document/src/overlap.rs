//! How long an old credential stays valid.

use std::{str::FromStr, time::Duration};

use crate::duration;

/// Added to any clock, it does not overflow.
const LONGEST: Duration = Duration::from_secs(100 * 31_557_600);

/// How long the old user's password stays valid after its successor was promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// The database refuses it after this time.
    Bounded(Duration),
    /// Until the rotation after next, as with AWS's own functions.
    Unbounded,
}

impl FromStr for Overlap {
    type Err = ();

    /// Reads `unbounded`, or a duration such as `24h`, `30m`, `2s`, of whole seconds and a hundred years at most.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "unbounded" {
            return Ok(Self::Unbounded);
        }
        let window = duration(text).map_err(drop)?;
        if window.subsec_nanos() > 0 || window > LONGEST {
            Err(())
        } else {
            Ok(Self::Bounded(window))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_read_as_people_write_times() {
        for (text, overlap) in [
            ("unbounded", Ok(Overlap::Unbounded)),
            ("24h", Ok(Overlap::Bounded(Duration::from_secs(86_400)))),
            ("1h 30m", Ok(Overlap::Bounded(Duration::from_secs(5400)))),
            ("0s", Ok(Overlap::Bounded(Duration::ZERO))),
            (
                "100years",
                Ok(Overlap::Bounded(Duration::from_secs(3_155_760_000))),
            ),
            ("100years 1s", Err(())),
            ("101years", Err(())),
            ("584542046090years", Err(())),
            ("5124095576030431h15s1000ms", Err(())),
            ("10ms", Err(())),
            ("forever", Err(())),
        ] {
            assert_eq!(text.parse(), overlap, "{text}");
        }
    }
}
