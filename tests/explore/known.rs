//! The known violations, each with the shortest schedule of its kind: known.txt.
//!
//! docs/verification.md describes each. An entry that is no longer found fails the test: remove it, there and here.

use crate::line::Strategy;

/// One kind of violation.
pub(crate) struct Known {
    strategy: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) violation: &'static str,
    /// The events of its shortest schedule that change something.
    pub(crate) schedule: Vec<&'static str>,
}

impl Known {
    /// Whether it is of this kind.
    pub(crate) fn is(&self, strategy: Strategy, violation: &str) -> bool {
        self.of(strategy) && self.violation == violation
    }

    pub(crate) fn of(&self, strategy: Strategy) -> bool {
        self.strategy == format!("{strategy:?}")
    }
}

/// An entry as the list has it.
pub(crate) fn entry(
    strategy: Strategy,
    scenario: &str,
    violation: &str,
    schedule: &[String],
) -> String {
    let schedule = schedule.join("\n    ");
    format!("{strategy:?}; {scenario}; {violation}\n    {schedule}\n")
}

/// The list: an entry is one line, the lines of its schedule are indented, and `#` begins a comment.
pub(crate) fn known() -> Vec<Known> {
    let mut list: Vec<Known> = Vec::new();
    for line in include_str!("known.txt").lines() {
        match (line.strip_prefix("    "), list.last_mut()) {
            (Some(act), Some(known)) => known.schedule.push(act),
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => {
                let mut fields = line.splitn(3, "; ");
                let mut field = || fields.next().unwrap_or_else(|| panic!("known.txt: {line}"));
                list.push(Known {
                    strategy: field(),
                    scenario: field(),
                    violation: field(),
                    schedule: Vec::new(),
                });
            }
        }
    }
    list
}
