//! Time limits that nest.

use std::time::Duration;

/// How long a step and its parts may take.
///
/// They nest: what is asked while a lock is held, the lease on that lock, the wait of others for it, the step.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All of it.
    pub step: Duration,
    /// TCP, TLS and login together.
    pub connect: Duration,
    /// One statement, the wait for its locks included.
    pub statement: Duration,
}

impl Limits {
    /// What fits into a step: three logins and a change.
    pub fn of(step: Duration) -> Self {
        Self {
            step,
            connect: step / 5,
            statement: step * 2 / 5,
        }
    }

    /// One request to a service, its connection included.
    pub fn request(self) -> Duration {
        self.connect.saturating_mul(2)
    }

    /// How long a lock may be held without a word: then the server ends the transaction.
    pub fn lease(self) -> Duration {
        self.statement * 3 / 4
    }

    /// How long to wait for a lock, which is longer than another delivery may hold it without a word.
    pub fn lock(self) -> Duration {
        self.statement * 7 / 8
    }

    /// How long Secrets Manager may take to answer while a lock is held.
    pub fn fence(self) -> Duration {
        self.statement / 2
    }
}
