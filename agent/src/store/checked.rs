//! Secrets Manager, with a check that each answer is of the requested secret.

use rotating_secret::provider::{
    Outage, ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version,
};

use super::ids;

/// A broken proxy or cache in between may mix up answers. The agent would serve such an answer under a wrong name for a lifetime.
pub(crate) struct Checked<P>(pub(crate) P);

impl<P: SecretProvider> SecretProvider for Checked<P> {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let version = self.0.fetch(secret, stage).await?;
        if ids::is_of(secret, version.name.as_deref(), version.arn.as_deref()) {
            return Ok(version);
        }
        let message = format!(
            "the answer for {secret} is of another secret: check the proxies between the agent and Secrets Manager"
        );
        let error = ProviderError::new(Kind::Unavailable, message);
        Err(error.with_outage(Outage::Unreadable))
    }
}
