//! Secrets Manager, of whose answers none is of another secret than the one that was asked for.

use rotating_secret::provider::{
    Outage, ProviderError, ProviderErrorKind as Kind, SecretProvider, Selected, Stage, Version,
};

use super::ids;

/// What stands between may be ill, and the agent would hand out its answer under a wrong name for a lifetime.
pub(super) struct Checked(pub(super) Selected);

impl SecretProvider for Checked {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let version = self.0.fetch(secret, stage).await?;
        if ids::is_of(secret, version.name.as_deref(), version.arn.as_deref()) {
            return Ok(version);
        }
        let message = format!(
            "the answer for {secret} is of another secret: check what stands between here and Secrets Manager"
        );
        let error = ProviderError::new(Kind::Unavailable, message);
        Err(error.with_outage(Outage::Unreadable))
    }
}
