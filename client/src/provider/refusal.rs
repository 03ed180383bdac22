//! What a service itself said, and why it said nothing, for a program that passes it on.

use std::sync::Arc;

use super::ProviderError;

/// The service's own error: what its API answers, word for word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The status of the HTTP answer.
    pub status: u16,
    /// The code, `ResourceNotFoundException` for example.
    pub code: String,
    /// The text, if there was one.
    pub message: Option<String>,
}

impl Refusal {
    /// A refusal with this status, code and text.
    pub fn new(status: u16, code: impl Into<String>, message: Option<String>) -> Self {
        let code = code.into();
        Self {
            status,
            code,
            message,
        }
    }
}

/// How an answer failed to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outage {
    /// Not in time.
    TimedOut,
    /// It came, and could not be read.
    Unreadable,
}

impl ProviderError {
    /// With what the service itself said.
    #[must_use]
    pub fn with_refusal(self, refusal: Refusal) -> Self {
        let refusal = Some(Arc::new(refusal));
        Self { refusal, ..self }
    }

    /// With how the answer failed to come.
    #[must_use]
    pub fn with_outage(self, outage: Outage) -> Self {
        let outage = Some(outage);
        Self { outage, ..self }
    }

    /// How the answer failed to come, where that is known.
    pub fn outage(&self) -> Option<Outage> {
        self.outage
    }

    /// What the service itself said; none where it gave no answer, or none that could be read.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }
}
