//! Secrets Manager, and never this agent itself.
//!
//! `AWS_ENDPOINT_URL_SECRETS_MANAGER` leads programs to the agent. In a container, or as a Lambda extension, the agent inherits that
//! variable. So it reads no endpoint from the environment or a profile, only `endpoint` from its own settings.

mod credentials_file;
mod elsewhere;

use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use rotating_secret::{
    aws_sdk_secretsmanager::{
        Client,
        types::{Filter, FilterNameStringType},
    },
    provider::{Aws, ProviderError, ProviderErrorKind as Kind},
};
use tokio::time::timeout;

use self::{credentials_file::CredentialsFile, elsewhere::Elsewhere};
use crate::settings::Settings;

/// The agent's name in `User-Agent`. With it the agent recognizes its own call.
pub const NAME: &str = "rotating-secret-agent";

/// How long the start waits for STS.
const VALIDATED: Duration = Duration::from_secs(5);

/// Hides all endpoints of the environment and of profiles from the SDK.
#[derive(Debug)]
struct NoEndpoint;

impl LoadServiceConfig for NoEndpoint {
    fn load_config(&self, _: ServiceConfigKey<'_>) -> Option<String> {
        None
    }
}

/// Access to Secrets Manager and STS.
#[derive(Clone)]
pub struct Upstream {
    secrets_manager: SdkConfig,
    /// Security Token Service.
    sts: SdkConfig,
}

impl Upstream {
    /// Loads region and credentials as the SDK does, after those of the settings.
    ///
    /// # Errors
    ///
    /// `AWS_CA_BUNDLE` names a file without certificates.
    pub async fn new(settings: &Settings) -> Result<Self, ProviderError> {
        let name = AppName::new(NAME)
            .map_err(|error| ProviderError::new(Kind::Invalid, error.to_string()))?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(Aws::http_client()?)
            .app_name(name);
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(path) = &settings.credentials_file {
            loader = loader.credentials_provider(CredentialsFile::new(path));
        }
        let own = loader.load().await;
        let provider = own.credentials_provider().map(Elsewhere::new);
        let provider = provider.map(SharedCredentialsProvider::new);
        let at = |endpoint: &Option<String>| {
            let mut config = own.to_builder().service_config(NoEndpoint);
            if let Some(provider) = &provider {
                config = config.credentials_provider(provider.clone());
            }
            config.set_endpoint_url(endpoint.clone());
            config.build()
        };
        Ok(Self {
            secrets_manager: at(&settings.endpoint),
            sts: at(&settings.sts_endpoint),
        })
    }

    /// Secrets Manager with the agent's own credentials.
    pub fn aws(&self) -> Aws {
        Aws::from_config(self.secrets_manager.clone())
    }

    /// Secrets Manager with the credentials of this role.
    ///
    /// # Errors
    ///
    /// The role was not assumed.
    pub async fn of_role(&self, role: &str) -> Result<Self, String> {
        let provider = AssumeRoleProvider::builder(role)
            .session_name(NAME)
            .configure(&self.sts)
            .build()
            .await;
        let assumed = provider.provide_credentials().await;
        assumed.map_err(|error| in_one_line(&error))?;
        let provider = SharedCredentialsProvider::new(provider);
        let with = |config: &SdkConfig| {
            let config = config.to_builder();
            config.credentials_provider(provider.clone()).build()
        };
        Ok(Self {
            secrets_manager: with(&self.secrets_manager),
            sts: with(&self.sts),
        })
    }

    /// Loads credentials, and asks STS whose they are. If STS gives no answer, that is a warning.
    ///
    /// # Errors
    ///
    /// There are no credentials, or STS refuses them.
    pub async fn validate(&self) -> Result<(), String> {
        let provider = self.sts.credentials_provider();
        let provider = provider.ok_or_else(|| "none are configured".to_owned())?;
        let loaded = provider.provide_credentials().await;
        loaded.map_err(|error| in_one_line(&error))?;
        let asked = aws_sdk_sts::Client::new(&self.sts).get_caller_identity();
        let reason = match timeout(VALIDATED, asked.send()).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if error.as_service_error().is_some() => {
                return Err(in_one_line(&error));
            }
            Ok(Err(error)) => in_one_line(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(
            reason,
            "the credentials were not validated: STS gives no answer"
        );
        Ok(())
    }

    /// The names of at most `most` secrets that have a tag with this key.
    ///
    /// # Errors
    ///
    /// Secrets Manager refuses to list them, or gives no answer.
    pub async fn tagged(&self, key: &str, most: usize) -> Result<Vec<String>, String> {
        let filter = Filter::builder()
            .key(FilterNameStringType::TagKey)
            .values(key)
            .build();
        let listed = Client::new(&self.secrets_manager).list_secrets();
        let mut pages = listed.filters(filter).into_paginator().send();
        let mut names = Vec::new();
        while names.len() < most
            && let Some(page) = pages.next().await
        {
            let page = page.map_err(|error| in_one_line(&error))?;
            let listed = page.secret_list.unwrap_or_default().into_iter();
            names.extend(listed.filter_map(|secret| secret.name));
        }
        Ok(names)
    }
}

/// An error with its causes.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ").replace(char::is_control, " ")
}

#[cfg(test)]
impl Upstream {
    /// The Secrets Manager of a test.
    pub(crate) fn at(endpoint: &str) -> Self {
        let any = aws_credential_types::Credentials::new("any", "any", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(Aws::http_client().unwrap())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(any))
            .endpoint_url(endpoint)
            .build();
        Self {
            secrets_manager: config.clone(),
            sts: config,
        }
    }

    /// One without credentials, which can make no call.
    pub(crate) fn none() -> Self {
        let nothing = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
        let nothing = nothing.build();
        Self {
            secrets_manager: nothing.clone(),
            sts: nothing,
        }
    }
}
