//! AWS Secrets Manager.

mod address;
mod credentials;
mod errors;
mod http;
#[cfg(feature = "rds_iam")]
mod rds_iam;
mod region;
mod selected;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_secretsmanager::{Client, config::SharedHttpClient};

#[cfg(feature = "rds_iam")]
pub use self::rds_iam::RdsIam;
pub use self::selected::{Selected, Selector};
use self::{credentials::LoadedOnce, region::InRegion};
use super::{ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version};

/// As many as BatchGetSecretValue accepts (the API's reference).
const BATCH: usize = 20;

/// More regions than AWS has.
const REGIONS: usize = 100;

/// AWS Secrets Manager, in one region or several.
///
/// A secret's id is its name or its ARN. A full ARN is asked for in its own region first, with a warning if that is not one of
/// these regions: to read the replica here, give the name. The caller needs `secretsmanager:GetSecretValue` on it, for
/// [`fetch_all`](SecretProvider::fetch_all) also `secretsmanager:BatchGetSecretValue`, and the use of its KMS key.
#[derive(Clone, Debug)]
pub struct Aws {
    regions: Vec<InRegion>,
    /// The regions of ARNs that are not among `regions`.
    elsewhere: Arc<Mutex<HashMap<String, InRegion>>>,
}

impl Aws {
    /// Region, credentials and endpoint come from the environment, as in AWS's tools (`AWS_REGION`,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_CA_BUNDLE`, …).
    ///
    /// Credentials are loaded with the first secret, and may take time: the limit for a region that does not answer does not
    /// apply to them. Missing credentials, or a missing region, are an error of the kind
    /// [`Invalid`](super::ProviderErrorKind::Invalid), which is not retried.
    ///
    /// # Errors
    ///
    /// `AWS_CA_BUNDLE` names a file that can't be read, or that holds no certificates. Neither of the features `aws-lc-rs`
    /// and `ring` is on: use [`from_config`](Self::from_config) then, with an HTTP client of your own.
    pub async fn from_env() -> Result<Self, ProviderError> {
        let shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client()?)
            .load()
            .await;
        Ok(Self::from_config(shared))
    }

    /// The HTTP client of [`from_env`](Self::from_env), for a configuration of the caller's.
    ///
    /// # Errors
    ///
    /// Those of [`from_env`](Self::from_env).
    pub fn http_client() -> Result<SharedHttpClient, ProviderError> {
        http::client()
    }

    /// With the caller's configuration, including its HTTP client and credentials. Retries and time limits are this crate's.
    pub fn from_config(shared: SdkConfig) -> Self {
        let credentials = shared.credentials_provider().map(LoadedOnce::new);
        let credentials = credentials.map(SharedCredentialsProvider::new);
        let mut shared = shared.into_builder();
        shared.set_credentials_provider(credentials);
        Self::of(vec![InRegion::configured(&shared.build())])
    }

    /// With the caller's clients, the first of which is asked first.
    pub fn from_clients(clients: impl IntoIterator<Item = Client>) -> Self {
        Self::of(clients.into_iter().map(InRegion::new).collect())
    }

    fn of(regions: Vec<InRegion>) -> Self {
        Self {
            regions,
            elsewhere: Arc::default(),
        }
    }

    /// Regions with replicas, asked in this order when those before them are down.
    ///
    /// They are asked as the first region is: with its credentials, and at its endpoint if one was set. A replica may lag
    /// behind its primary.
    #[must_use]
    pub fn replicas<'a>(mut self, regions: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(first) = self.regions.first().cloned() {
            let replicas = regions.into_iter().map(|region| first.moved(region));
            self.regions.extend(replicas);
        }
        self
    }

    /// The region of a full ARN, if it is not one of the regions.
    fn elsewhere(&self, secret: &str) -> Option<InRegion> {
        let (region, first) = (region_of(secret)?, self.regions.first()?);
        if self
            .regions
            .iter()
            .any(|known| known.name() == Some(region))
        {
            return None;
        }
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // an agent's callers choose the ids
        if elsewhere.len() >= REGIONS && !elsewhere.contains_key(region) {
            elsewhere.clear();
        }
        let asked = elsewhere.entry(region.to_owned()).or_insert_with(|| {
            tracing::warn!(
                secret,
                here = first.name(),
                "the secret's ARN is of another region, and it is read there: give its name, if the replica in this region is meant"
            );
            first.moved(region)
        });
        Some(asked.clone())
    }

    async fn fetch_batch(&self, secrets: &[&str]) -> Vec<Result<Version, ProviderError>> {
        let mut answer = Err(no_client());
        for region in &self.regions {
            answer = region.fetch_batch(secrets).await;
            if !is_down(&answer) {
                break;
            }
        }
        match answer {
            Ok(versions) => versions,
            Err(error) => secrets.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

impl SecretProvider for Aws {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        self.read(secret, &Selector::stage(stage.label())).await
    }

    async fn fetch_all(&self, secrets: &[&str]) -> Vec<Result<Version, ProviderError>> {
        // a batch is of one region
        let is_elsewhere = |secret: &&str| self.elsewhere(secret).is_some();
        let size = if secrets.iter().any(is_elsewhere) {
            1
        } else {
            BATCH
        };
        let mut versions = Vec::with_capacity(secrets.len());
        for batch in secrets.chunks(size) {
            match batch {
                // this needs one permission less
                [secret] => versions.push(self.fetch(secret, Stage::Current).await),
                batch => versions.extend(self.fetch_batch(batch).await),
            }
        }
        versions
    }
}

/// The region of a full ARN.
fn region_of(secret: &str) -> Option<&str> {
    let fields: Vec<&str> = secret.splitn(7, ':').collect();
    match fields.as_slice() {
        ["arn", _, "secretsmanager", region, ..] if !region.is_empty() => Some(region),
        _ => None,
    }
}

fn no_client() -> ProviderError {
    ProviderError::new(
        Kind::Invalid,
        "there is no client to ask: give from_clients at least one",
    )
}

fn is_down<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(error) if error.kind() == Kind::Unavailable)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use aws_config::Region;

    use super::*;

    #[test]
    fn an_arn_is_requested_in_its_own_region_and_a_name_in_the_clients_region() {
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .build();
        let aws = Aws::from_config(shared).replicas(["eu-north-1"]);
        let arn = |region| {
            format!("arn:aws:secretsmanager:{region}:123456789012:secret:orders/db-AbCdEf")
        };
        let asked = |secret: &str| {
            aws.elsewhere(secret)
                .and_then(|asked| asked.name().map(str::to_owned))
        };
        assert_eq!(asked(&arn("us-east-1")).as_deref(), Some("us-east-1"));
        for secret in ["orders/db", &arn("eu-west-1"), &arn("eu-north-1")] {
            assert_eq!(asked(secret), None, "{secret}");
        }
    }

    #[test]
    fn regions_that_nobody_has_do_not_fill_the_memory() {
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .build();
        let aws = Aws::from_config(shared);
        for number in 0..3 * REGIONS {
            let arn = format!("arn:aws:secretsmanager:made-up-{number}:1:secret:a-AbCdEf");
            assert!(aws.elsewhere(&arn).is_some());
        }
        assert!(aws.elsewhere.lock().unwrap().len() <= REGIONS);
    }
}
