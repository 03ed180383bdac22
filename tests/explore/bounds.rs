//! How much may happen in a schedule.

use std::fmt;

/// How often each event may happen. In a state: how often it still may happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    /// RotateSecret.
    pub(crate) rotations: u8,
    /// How often the service takes AWSPENDING off AWSCURRENT. Else it stays.
    pub(crate) drops: u8,
    /// How often the service tries one, the first time included.
    pub(crate) attempts: u8,
    /// Answers that are lost, and processes that are killed.
    pub(crate) faults: u8,
    /// Deliveries that the service does not wait for any longer, or makes once more.
    pub(crate) stalls: u8,
    /// Deliveries to a new environment where an old one is free.
    pub(crate) cold: u8,
    /// revokeSecret.
    pub(crate) revokes: u8,
    /// A person's actions: PutSecretValue, labels, CancelRotateSecret.
    pub(crate) hands: u8,
    /// Overlap windows that pass.
    pub(crate) windows: u8,
    /// Reads that lag.
    pub(crate) stale: u8,
    /// The number of changes that such a read has not seen.
    pub(crate) lag: u8,
    /// Logins of the client crate.
    pub(crate) logins: u8,
    /// How often the client gets a notification, or renews its credential.
    pub(crate) renewals: u8,
    /// Keys that an account may have.
    pub(crate) room: u8,
    /// Switches away from a delivery that could go on; None if they are not counted.
    pub(crate) preemptions: Option<u8>,
}

impl Bounds {
    pub(crate) const NONE: Self = Self {
        rotations: 1,
        drops: 0,
        attempts: 3,
        faults: 0,
        stalls: 0,
        cold: 0,
        revokes: 0,
        hands: 0,
        windows: 0,
        stale: 0,
        lag: 0,
        logins: 0,
        renewals: 0,
        room: 10,
        preemptions: None,
    };
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rotations {}, attempts {}",
            self.rotations, self.attempts
        )?;
        for (name, bound) in [
            ("drops", self.drops),
            ("faults", self.faults),
            ("stalls", self.stalls),
            ("cold starts", self.cold),
            ("revokes", self.revokes),
            ("hands", self.hands),
            ("windows", self.windows),
            ("stale reads", self.stale),
            ("lag", self.lag),
            ("logins", self.logins),
            ("renewals", self.renewals),
        ] {
            if bound > 0 {
                write!(f, ", {name} {bound}")?;
            }
        }
        match self.preemptions {
            None => f.write_str(", preemptions unbounded"),
            Some(preemptions) => write!(f, ", preemptions {preemptions}"),
        }
    }
}
