//! The outcome of each secret, as JSON.

use serde::Serialize;

/// All of them, in the order in which they ended.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    secrets: Vec<Reported>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct Reported {
    pub(super) secret: String,
    outcome: Outcome,
    /// Why it was not rotated, or why that is unknown.
    error: Option<String>,
}

/// The outcome as a stable word for scripts.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Its rotation has ended.
    Rotated,
    /// Its rotation has begun, or was in progress.
    Begun,
    /// It rotated recently and was skipped.
    LeftAlone,
    /// It would be rotated.
    DryRun,
    NotRotated,
    NotKnown,
}

impl Report {
    pub(super) fn new(secrets: Vec<Reported>) -> Self {
        Self { secrets }
    }
}

impl Reported {
    pub(super) fn new(secret: &str, outcome: Outcome, error: Option<&str>) -> Self {
        Self {
            secret: secret.to_owned(),
            outcome,
            error: error.map(str::to_owned),
        }
    }
}
