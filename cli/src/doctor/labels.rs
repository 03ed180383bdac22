//! The versions of the labels, from DescribeSecret.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;

use crate::secrets::{CURRENT, PREVIOUS, in_flight, labelled, time};

/// The versions of the labels, by version id.
#[derive(Debug)]
pub(super) struct Labels<'a> {
    pub(super) current: Option<&'a str>,
    /// None if AWSPENDING is on AWSCURRENT's version.
    pub(super) pending: Option<&'a str>,
    pub(super) previous: Option<&'a str>,
    /// When the secret last changed, by the service's clock.
    pub(super) changed: Option<SystemTime>,
    /// After this long without a change, a rotation is over.
    pub(super) patience: Duration,
}

impl<'a> Labels<'a> {
    pub(super) fn of(secret: &'a DescribeSecretOutput, patience: Duration) -> Self {
        let labels = secret.version_ids_to_stages();
        let has = |label| labelled(labels?, label);
        Self {
            current: has(CURRENT),
            pending: labels.and_then(in_flight),
            previous: has(PREVIOUS),
            changed: time(secret.last_changed_date()),
            patience,
        }
    }

    /// Whether a rotation may be in progress.
    pub(super) fn in_flight(&self, now: SystemTime) -> bool {
        let changed = self.changed.unwrap_or(now);
        self.pending.is_some() && now.duration_since(changed).unwrap_or_default() < self.patience
    }
}
