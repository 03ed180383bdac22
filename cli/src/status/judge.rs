//! Judges a secret by its dates: pure rules without IO or a clock.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// The state of a secret by its dates, most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// A rotation began and has not ended.
    Stuck,
    /// A rotation is in progress, and its attempts fail.
    Failing,
    /// A rotation was due, but none has begun.
    Overdue,
    /// A rotation is in progress and still in time.
    Rotating,
    /// All is well.
    #[default]
    Fine,
    /// Rotation was turned off.
    Off,
}

impl State {
    /// All states, most urgent first.
    pub const ALL: [Self; 6] = [
        Self::Stuck,
        Self::Failing,
        Self::Overdue,
        Self::Rotating,
        Self::Fine,
        Self::Off,
    ];

    /// The state as a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Failing => "failing",
            Self::Overdue => "overdue",
            Self::Rotating => "rotating",
            Self::Fine => "ok",
            Self::Off => "off",
        }
    }

    /// Whether an operator must act.
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::Stuck | Self::Failing | Self::Overdue)
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The input of [`state`].
#[derive(Clone, Copy, Debug)]
pub struct Dates {
    /// Whether rotation is turned on.
    pub enabled: bool,
    /// The result of [`due`](crate::schedule::due).
    pub due: Option<SystemTime>,
    /// Since when a rotation is in progress.
    pub pending_since: Option<SystemTime>,
}

/// The state now, if a rotation may take `patience`.
pub fn state(dates: Dates, patience: Duration, now: SystemTime) -> State {
    let passed = |moment: SystemTime| now.duration_since(moment).unwrap_or_default();
    match dates {
        Dates {
            pending_since: Some(since),
            ..
        } if passed(since) >= patience => State::Stuck,
        Dates { enabled: false, .. } => State::Off,
        Dates { due: Some(due), .. } if due < now => State::Overdue,
        Dates {
            pending_since: Some(_),
            ..
        } => State::Rotating,
        _ => State::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn day(number: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * u32::try_from(number).unwrap()
    }

    #[test]
    fn the_state_is_the_most_urgent_thing_that_is_true() {
        let patience = DAY;
        let judged = |enabled, due, pending_since| {
            let dates = Dates {
                enabled,
                due,
                pending_since,
            };
            state(dates, patience, day(10))
        };
        assert_eq!(judged(true, Some(day(11)), None), State::Fine);
        assert_eq!(judged(true, None, None), State::Fine);
        assert_eq!(judged(true, Some(day(9)), None), State::Overdue);
        assert_eq!(judged(true, Some(day(11)), Some(day(10))), State::Rotating);
        assert_eq!(judged(true, Some(day(9)), Some(day(10))), State::Overdue);
        assert_eq!(judged(true, Some(day(11)), Some(day(9))), State::Stuck);
        assert_eq!(judged(false, Some(day(9)), None), State::Off);
        assert_eq!(judged(false, None, Some(day(9))), State::Stuck);
        assert!(State::Stuck < State::Overdue && State::Overdue < State::Rotating);
    }
}
