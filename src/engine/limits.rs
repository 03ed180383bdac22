//! Time limits that nest.

use std::time::Duration;

/// How long a step and its parts may take.
///
/// Each limit is shorter than the next: a question while a lock is held, the lease on that lock, the wait of others for it, the
/// step.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The whole step.
    pub step: Duration,
    /// TCP, TLS and login together.
    pub connect: Duration,
    /// One statement, including the wait for its locks.
    pub statement: Duration,
}

impl Limits {
    /// The limits that fit into a step: three logins and a change.
    pub fn of(step: Duration) -> Self {
        Self {
            step,
            connect: step / 5,
            statement: step * 2 / 5,
        }
    }

    /// One request to a service, including its connection.
    pub fn request(self) -> Duration {
        self.connect.saturating_mul(2)
    }

    /// How long a lock may be held in silence: then the server ends the transaction.
    pub fn lease(self) -> Duration {
        self.statement * 3 / 4
    }

    /// How long to wait for a lock: longer than another delivery may hold it in silence.
    pub fn lock(self) -> Duration {
        self.statement * 7 / 8
    }

    /// How long Secrets Manager may take to answer while a lock is held.
    pub fn fence(self) -> Duration {
        self.statement / 2
    }
}
