//! Secrets Manager, and never this agent itself.
//!
//! Programs are led here by `AWS_ENDPOINT_URL_SECRETS_MANAGER`. In a container, or as a Lambda extension, the agent inherits that
//! variable. So it reads no endpoint from the environment or a profile: `endpoint` in its own settings is the only one.

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use rotating_secret::provider::{Aws, ProviderError, ProviderErrorKind as Kind};

use crate::settings::Settings;

/// What the agent calls itself in `User-Agent`, by which it would know its own call.
pub const NAME: &str = "rotating-secret-agent";

/// What stands for a service in the environment and in profiles: endpoints alone.
#[derive(Debug)]
struct NoEndpoint;

impl LoadServiceConfig for NoEndpoint {
    fn load_config(&self, _: ServiceConfigKey<'_>) -> Option<String> {
        None
    }
}

/// Region and credentials as the SDK takes them, with the settings in front.
///
/// # Errors
///
/// `AWS_CA_BUNDLE` names a file without certificates.
pub async fn connect(settings: &Settings) -> Result<Aws, ProviderError> {
    Ok(Aws::from_config(configuration(settings).await?))
}

async fn configuration(settings: &Settings) -> Result<SdkConfig, ProviderError> {
    let name =
        AppName::new(NAME).map_err(|error| ProviderError::new(Kind::Invalid, error.to_string()))?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Aws::http_client()?)
        .app_name(name);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let mut own = loader
        .load()
        .await
        .into_builder()
        .service_config(NoEndpoint);
    own.set_endpoint_url(settings.endpoint.clone());
    Ok(own.build())
}
