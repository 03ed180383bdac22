//! The outcome of each secret, as JSON.

use serde::Serialize;

/// All outcomes, in the order in which the rotations ended.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    secrets: Vec<Reported>,
}

/// The outcome of one secret.
#[derive(Debug, Serialize)]
pub(super) struct Reported {
    pub(super) secret: String,
    outcome: Outcome,
    /// Why the secret was not rotated, or why that is unknown.
    error: Option<String>,
}

/// The outcome as a stable word for scripts.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The rotation has succeeded.
    Rotated,
    /// The rotation has begun, or was in progress already.
    Begun,
    /// The secret has rotated recently, and was skipped.
    LeftAlone,
    /// The secret would be rotated.
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
