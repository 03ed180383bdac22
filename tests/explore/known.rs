//! What today's code does not hold, each by the shortest schedule of its kind.
//!
//! docs/verification.md tells each in plain words. An entry that is not found any more fails the test: strike it out, here
//! and there.

use crate::line::Strategy;

/// One kind of violation.
pub(crate) struct Known {
    pub(crate) scenario: &'static str,
    pub(crate) strategy: Strategy,
    pub(crate) violation: &'static str,
    /// What of its shortest schedule changes something.
    pub(crate) schedule: &'static [&'static str],
}

impl Known {
    pub(crate) fn is(&self, strategy: Strategy, violation: &str) -> bool {
        self.strategy == strategy && self.violation == violation
    }
}

pub(crate) const KNOWN: &[Known] = &[];
