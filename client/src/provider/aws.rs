//! AWS Secrets Manager.

mod http;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_secretsmanager::{
    Client,
    config::{Builder, http::HttpResponse},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::SecretValueEntry,
};
use secrecy::{SecretSlice, SecretString};

use super::{ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Value, Version};

/// As many as BatchGetSecretValue takes (the API's reference).
const BATCH: usize = 20;

/// A region that gives no answer within this is taken for down, and the next one is asked.
const ATTEMPT: Duration = Duration::from_secs(2);

/// AWS Secrets Manager, in one region or several.
///
/// A secret's id is its name or its ARN. A full ARN is asked for in its own region first, with a warning if that is none of these
/// regions: who means the replica here gives the name. The caller needs `secretsmanager:GetSecretValue` on it, for
/// [`fetch_all`](SecretProvider::fetch_all) also `secretsmanager:BatchGetSecretValue`, and the use of its KMS key.
#[derive(Clone, Debug)]
pub struct Aws {
    regions: Vec<InRegion>,
    shared: Option<SdkConfig>,
    /// The regions of ARNs that are none of `regions`.
    elsewhere: Arc<Mutex<HashMap<String, InRegion>>>,
}

#[derive(Clone, Debug)]
struct InRegion {
    client: Client,
    /// Unknown for a client that somebody else made without one.
    region: Option<String>,
}

impl Aws {
    /// Region, credentials and endpoint as AWS's tools take them from the environment (`AWS_REGION`,
    /// `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_CA_BUNDLE`, …).
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

    /// With a configuration of the caller's, its HTTP client and credentials; retries and time limits excepted, for
    /// those are this crate's.
    pub fn from_config(shared: SdkConfig) -> Self {
        Self {
            regions: vec![InRegion::new(&shared, None)],
            shared: Some(shared),
            elsewhere: Arc::default(),
        }
    }

    /// With clients of the caller's, the first of which is asked first.
    pub fn from_clients(clients: impl IntoIterator<Item = Client>) -> Self {
        let region = |client: &Client| client.config().region().map(ToString::to_string);
        let regions = clients.into_iter().map(|client| InRegion {
            region: region(&client),
            client,
        });
        Self {
            regions: regions.collect(),
            shared: None,
            elsewhere: Arc::default(),
        }
    }

    /// Regions that hold replicas, asked in this order when those before them are down.
    ///
    /// A replica may lag behind its primary.
    #[must_use]
    pub fn replicas<'a>(mut self, regions: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(shared) = &self.shared {
            let replicas = regions.into_iter();
            self.regions
                .extend(replicas.map(|region| InRegion::new(shared, Some(region))));
        }
        self
    }

    /// Where a full ARN belongs, if that is none of the regions and can be asked.
    fn elsewhere(&self, secret: &str) -> Option<InRegion> {
        let (region, shared) = (region_of(secret)?, self.shared.as_ref()?);
        let is_known = |known: &InRegion| known.region.as_deref() == Some(region);
        if self.regions.iter().any(is_known) {
            return None;
        }
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let asked = elsewhere.entry(region.to_owned()).or_insert_with(|| {
            let here = self.regions.first().and_then(|here| here.region.as_deref());
            tracing::warn!(
                secret,
                here,
                "the secret's ARN is of another region, and it is read there: give its name, if the replica in this region is meant"
            );
            InRegion::new(shared, Some(region))
        });
        Some(asked.clone())
    }

    async fn fetch_batch(&self, secrets: &[&str]) -> Vec<Result<Version, ProviderError>> {
        let mut answer = Err(no_region());
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
        let mut answer = Err(no_region());
        let elsewhere = self.elsewhere(secret);
        for region in elsewhere.iter().chain(&self.regions) {
            answer = region.fetch(secret, stage).await;
            if !is_down(&answer) {
                break;
            }
        }
        answer
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
                // needs one permission less
                [secret] => versions.push(self.fetch(secret, Stage::Current).await),
                batch => versions.extend(self.fetch_batch(batch).await),
            }
        }
        versions
    }
}

impl InRegion {
    fn new(shared: &SdkConfig, region: Option<&str>) -> Self {
        let mut config = Builder::from(shared)
            // repeated by whoever asks, with backoff and jitter; here the next region is better than a second try
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(ATTEMPT).build());
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        let client = Client::from_conf(config.build());
        let region = client.config().region().map(ToString::to_string);
        Self { client, region }
    }

    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let request = self.client.get_secret_value();
        let sent = request
            .secret_id(self.localize(secret))
            .version_stage(stage.label())
            .send()
            .await;
        let value = sent.map_err(|error| self.classify(secret, error))?;
        version(
            value.arn,
            value.version_id,
            value.secret_string,
            value.secret_binary,
        )
        .ok_or_else(|| no_value(secret))
    }

    async fn fetch_batch(
        &self,
        secrets: &[&str],
    ) -> Result<Vec<Result<Version, ProviderError>>, ProviderError> {
        let ids: Vec<String> = secrets.iter().map(|secret| self.localize(secret)).collect();
        let mut entries: Vec<SecretValueEntry> = Vec::new();
        let mut refusals = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.batch_get_secret_value();
            let sent = request
                .set_secret_id_list(Some(ids.clone()))
                .set_next_token(next)
                .send()
                .await;
            let page = sent.map_err(|error| self.classify(&secrets.join(", "), error))?;
            entries.extend(page.secret_values.unwrap_or_default());
            refusals.extend(page.errors.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        let answer = |(id, secret): (&String, &&str)| {
            let is = |named: Option<&str>| named == Some(id.as_str());
            let found = |entry: &&SecretValueEntry| is(entry.arn()) || is(entry.name());
            if let Some(entry) = entries.iter().find(found).cloned() {
                return version(
                    entry.arn,
                    entry.version_id,
                    entry.secret_string,
                    entry.secret_binary,
                )
                .ok_or_else(|| no_value(secret));
            }
            let refusal = refusals.iter().find(|refusal| is(refusal.secret_id()));
            let code = refusal.and_then(|refusal| refusal.error_code());
            let message = refusal.and_then(|refusal| refusal.message());
            let message = message.unwrap_or("the answer does not speak of it");
            Err(self.refused(secret, code.unwrap_or_default(), message))
        };
        Ok(ids.iter().zip(secrets).map(answer).collect())
    }

    /// A replica's ARN differs from its primary's in the region alone.
    fn localize(&self, secret: &str) -> String {
        let mut fields: Vec<&str> = secret.splitn(7, ':').collect();
        match (fields.as_mut_slice(), &self.region) {
            (["arn", _, "secretsmanager", region, ..], Some(own)) => *region = own,
            _ => return secret.to_owned(),
        }
        fields.join(":")
    }

    fn classify<E>(&self, secret: &str, error: SdkError<E, HttpResponse>) -> ProviderError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // what answers in the service's place, or falls over, may answer in words of its own
        let status = error.raw_response().map(|answer| answer.status());
        let broken = status.is_some_and(|status| status.is_server_error());
        if let (SdkError::ServiceError(answer), false) = (&error, broken) {
            let error = answer.err();
            if let Some(code) = error.code() {
                return self.refused(secret, code, error.message().unwrap_or_default());
            }
        }
        let reason = DisplayErrorContext(&error).to_string();
        let message = format!(
            "Secrets Manager in {} gave no answer ({reason}): check the route to it",
            self.name()
        );
        ProviderError::new(Kind::Unavailable, message)
    }

    /// Sorts a refusal by the service's own code.
    fn refused(&self, secret: &str, code: &str, message: &str) -> ProviderError {
        let (kind, advice) = match code {
            "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "TooManyRequestsException" => (Kind::Throttled, "it is asked again"),
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredTokenException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException" => (
                Kind::AccessDenied,
                "grant secretsmanager:GetSecretValue on it, and kms:Decrypt on its key",
            ),
            "ResourceNotFoundException" => (Kind::NotFound, "check its name and the region"),
            // the one reason that the API's reference gives for a read: the secret is marked for deletion
            "InvalidRequestException" => (Kind::NotFound, "RestoreSecret brings it back"),
            "InternalServiceError"
            | "InternalServiceErrorException"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => (Kind::Unavailable, "it is asked again"),
            _ => (Kind::Invalid, "see what the service says"),
        };
        let message = format!("{secret} in {}: {code} ({message}): {advice}", self.name());
        ProviderError::new(kind, message)
    }

    fn name(&self) -> &str {
        self.region.as_deref().unwrap_or("an unknown region")
    }
}

fn version(
    arn: Option<String>,
    id: Option<String>,
    text: Option<String>,
    binary: Option<Blob>,
) -> Option<Version> {
    let value = match (text, binary) {
        (Some(text), _) => Value::Text(SecretString::from(text)),
        (None, Some(bytes)) => Value::Binary(SecretSlice::from(bytes.into_inner())),
        (None, None) => return None,
    };
    Some(Version {
        id: id?,
        value,
        arn,
        lease: None,
    })
}

fn no_value(secret: &str) -> ProviderError {
    let message = format!(
        "the answer for {secret} holds neither a value nor a version: see the secret in the console"
    );
    ProviderError::new(Kind::Invalid, message)
}

/// The region of a full ARN.
fn region_of(secret: &str) -> Option<&str> {
    let fields: Vec<&str> = secret.splitn(7, ':').collect();
    match fields.as_slice() {
        ["arn", _, "secretsmanager", region, ..] if !region.is_empty() => Some(region),
        _ => None,
    }
}

fn no_region() -> ProviderError {
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
    use super::*;

    fn in_region(region: &str) -> InRegion {
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .build();
        let aws = Aws::from_clients([Client::from_conf(config)]);
        aws.regions.into_iter().next().unwrap()
    }

    #[test]
    fn an_arn_is_asked_for_in_the_region_that_is_asked_and_a_name_as_it_is() {
        let replica = in_region("eu-west-1");
        for (id, localized) in [
            (
                "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf",
            ),
            ("orders/db", "orders/db"),
            ("arn:aws:s3:us-east-1:x", "arn:aws:s3:us-east-1:x"),
        ] {
            assert_eq!(replica.localize(id), localized);
        }
    }

    #[test]
    fn an_arn_of_another_region_is_asked_for_there_and_a_name_here() {
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .build();
        let aws = Aws::from_config(shared).replicas(["eu-north-1"]);
        let arn = |region| {
            format!("arn:aws:secretsmanager:{region}:123456789012:secret:orders/db-AbCdEf")
        };
        let asked = |secret: &str| aws.elsewhere(secret).and_then(|asked| asked.region);
        assert_eq!(asked(&arn("us-east-1")).as_deref(), Some("us-east-1"));
        for secret in ["orders/db", &arn("eu-west-1"), &arn("eu-north-1")] {
            assert_eq!(asked(secret), None, "{secret}");
        }
    }

    #[test]
    fn only_the_services_own_code_makes_a_secret_absent_or_forbidden() {
        let region = in_region("us-east-1");
        for (code, kind) in [
            ("ThrottlingException", Kind::Throttled),
            ("AccessDeniedException", Kind::AccessDenied),
            ("ResourceNotFoundException", Kind::NotFound),
            ("InvalidRequestException", Kind::NotFound),
            ("InternalServiceError", Kind::Unavailable),
            ("DecryptionFailure", Kind::Invalid),
            ("", Kind::Invalid),
        ] {
            assert_eq!(
                region.refused("orders/db", code, "…").kind(),
                kind,
                "{code}"
            );
        }
    }
}
