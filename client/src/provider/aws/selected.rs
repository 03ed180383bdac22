//! Any version of a secret: by its id or by a label of any name.

use super::{Aws, is_down, no_client};
use crate::provider::{ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version};

/// A version of a secret: by its id, by a staging label, or by both; by neither it is AWSCURRENT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Selector {
    /// The version's id.
    pub version_id: Option<String>,
    /// The staging label, of any name.
    pub stage: Option<String>,
}

impl Selector {
    /// By a staging label.
    pub fn stage(label: impl Into<String>) -> Self {
        Self::new(None, Some(label.into()))
    }

    /// By an id, a label, both or neither. The service refuses a version that does not have the label.
    pub fn new(version_id: Option<String>, stage: Option<String>) -> Self {
        Self { version_id, stage }
    }
}

/// Secrets Manager, of which each secret is one selected version: [`Aws::select`].
#[derive(Clone, Debug)]
pub struct Selected {
    aws: Aws,
    selector: Selector,
}

impl Aws {
    /// Reads one version of a secret, once.
    ///
    /// # Errors
    ///
    /// As for [`SecretProvider::fetch`].
    pub async fn read(&self, secret: &str, selector: &Selector) -> Result<Version, ProviderError> {
        let mut answer = Err(no_client());
        let elsewhere = self.elsewhere(secret);
        for region in elsewhere.iter().chain(&self.regions) {
            // on the heap: a caller's own futures must not grow by the SDK's
            answer = Box::pin(region.read(secret, selector)).await;
            if !is_down(&answer) {
                break;
            }
        }
        answer
    }

    /// A provider for which the selected version is [`Stage::Current`], so that a [`RotatingSecret`](crate::RotatingSecret) follows any
    /// label, and keeps any version.
    pub fn select(&self, selector: Selector) -> Selected {
        let aws = self.clone();
        Selected { aws, selector }
    }
}

impl SecretProvider for Selected {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        if stage != Stage::Current {
            let message = "only one version is selected: ask Aws itself for the others";
            return Err(ProviderError::new(Kind::NotFound, message));
        }
        self.aws.read(secret, &self.selector).await
    }
}
