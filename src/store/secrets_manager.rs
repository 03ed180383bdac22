//! AWS Secrets Manager through its SDK.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_secretsmanager::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::{BoxError, DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::{Blob, DateTime},
};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use secrecy::{ExposeSecret, SecretString};

use zeroize::Zeroizing;

use super::{Form, Scheduled, SecretStore, StoreError, Version, Versions, Which, Written};

/// Amazon's own roots, to which every AWS endpoint's certificate chains.
///
/// Loading the machine's hundred roots instead would be most of the function's start (11 ms instead of 2 ms).
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-root-cas.pem");

/// A call that takes longer is given up, and retried while the step's deadline allows.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Secrets Manager in the function's region and account.
#[derive(Clone, Debug)]
pub struct SecretsManager {
    client: Client,
    sent: Sent,
}

impl SecretsManager {
    /// Sets up the client, with credentials and region from the environment. It does not connect yet.
    ///
    /// `endpoint` and `roots` (PEM) replace the region's usual address and Amazon's roots.
    ///
    /// # Errors
    ///
    /// TLS is not possible with these roots.
    pub async fn from_env(
        endpoint: Option<&str>,
        roots: Option<Vec<u8>>,
    ) -> Result<Self, StoreError> {
        let roots = roots.unwrap_or_else(|| AMAZON_ROOTS.to_vec());
        let unreachable = |reason| StoreError::Unreachable {
            operation: "TLS",
            reason,
        };
        let tls = TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(roots))
            .build()
            .map_err(|error| unreachable(error.to_string()))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls)
            .build_https();

        let shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            // standard retries take up to a second each; the service repeats a failed rotation anyway
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(100)))
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT)
                    .build(),
            )
            .load()
            .await;
        let sent = Sent::default();
        let mut config =
            aws_sdk_secretsmanager::config::Builder::from(&shared).interceptor(sent.clone());
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        Ok(Self {
            client: Client::from_conf(config.build()),
            sent,
        })
    }

    /// The secrets that this function rotates, regardless of the version or alias of it that each of them names.
    ///
    /// Not part of [`SecretStore`]: a rotation does not need it.
    ///
    /// # Errors
    ///
    /// The service did not answer for every page: a part of the secrets is no answer.
    pub async fn rotated_by(&self, function: &str) -> Result<Vec<Scheduled>, StoreError> {
        let time = |date: &DateTime| SystemTime::try_from(*date).ok();
        let request = self.client.list_secrets().max_results(100);
        let mut pages = request.into_paginator().send();
        let mut rotated = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("ListSecrets", error))?;
            for secret in page.secret_list.unwrap_or_default() {
                let ours = secret
                    .rotation_lambda_arn()
                    .is_some_and(|arn| unqualified(arn) == unqualified(function));
                if secret.rotation_enabled() == Some(true) && ours {
                    rotated.push(Scheduled {
                        since: secret
                            .last_rotated_date()
                            .or(secret.created_date())
                            .and_then(time),
                        next: secret.next_rotation_date().and_then(time),
                        name: secret.name.unwrap_or_default(),
                    });
                }
            }
        }
        Ok(rotated)
    }

    /// Moves a label to another version, or removes it.
    async fn move_label(
        &self,
        secret: &str,
        which: Which<'_>,
        to: Option<&str>,
        from: &str,
    ) -> Result<(), StoreError> {
        self.client
            .update_secret_version_stage()
            .secret_id(secret)
            .version_stage(which.label())
            .set_move_to_version_id(to.map(str::to_owned))
            .remove_from_version_id(from)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("UpdateSecretVersionStage", error))
    }

    /// The number of requests since the last call of this method, retries included.
    pub fn take_calls(&self) -> u32 {
        self.sent.0.swap(0, Ordering::Relaxed)
    }
}

impl SecretStore for SecretsManager {
    async fn versions(&self, secret: &str) -> Result<Versions, StoreError> {
        let described = self
            .client
            .describe_secret()
            .secret_id(secret)
            .send()
            .await
            .map_err(|error| classify("DescribeSecret", error))?;
        Ok(Versions {
            rotation_enabled: described.rotation_enabled().unwrap_or(false),
            rotated: described
                .last_rotated_date()
                .and_then(|date| SystemTime::try_from(*date).ok()),
            labels: described
                .version_ids_to_stages
                .unwrap_or_default()
                .into_iter()
                .collect(),
        })
    }

    async fn read(&self, secret: &str, which: Which<'_>) -> Result<Option<Version>, StoreError> {
        let request = self.client.get_secret_value().secret_id(secret);
        let request = match which {
            Which::Current | Which::Previous => request.version_stage(which.label()),
            Which::Pending(token) => request.version_stage(which.label()).version_id(token),
            Which::Version(id) => request.version_id(id),
        };
        let value = match request.send().await {
            Ok(value) => value,
            Err(error) => match classify("GetSecretValue", error) {
                // also for a secret that does not exist: DescribeSecret distinguishes the two
                StoreError::NoSuchSecret { .. } => return Ok(None),
                error => return Err(error),
            },
        };
        let (document, form) = match (value.secret_string, value.secret_binary) {
            (Some(text), _) => (text, Form::Text),
            (None, binary) => {
                let bytes = binary.map(Blob::into_inner).unwrap_or_default();
                let text = String::from_utf8(bytes).map_err(|error| {
                    drop(Zeroizing::new(error.into_bytes()));
                    StoreError::Binary {
                        label: which.label(),
                    }
                })?;
                (text, Form::Binary)
            }
        };
        Ok(Some(Version {
            secret: value.arn.unwrap_or_default(),
            id: value.version_id.unwrap_or_default(),
            document: document.into(),
            form,
            created: value
                .created_date
                .and_then(|date| SystemTime::try_from(date).ok()),
        }))
    }

    async fn write_pending(
        &self,
        secret: &str,
        token: &str,
        rotation_token: Option<&SecretString>,
        document: &SecretString,
        form: Form,
    ) -> Result<Written, StoreError> {
        let text = document.expose_secret();
        let written = self
            .client
            .put_secret_value()
            .secret_id(secret)
            .client_request_token(token)
            .set_secret_string((form == Form::Text).then(|| text.to_owned()))
            .set_secret_binary((form == Form::Binary).then(|| Blob::new(text)))
            // without this label the service would make the version AWSCURRENT at once
            .version_stages(Which::Pending(token).label())
            .set_rotation_token(rotation_token.map(|token| token.expose_secret().to_owned()))
            .send()
            .await;
        match written {
            Ok(_) => Ok(Written::Stored),
            Err(error) if error.code() == Some("ResourceExistsException") => Ok(Written::Conflict),
            Err(error) => Err(classify("PutSecretValue", error)),
        }
    }

    async fn promote(&self, secret: &str, token: &str, from: &str) -> Result<(), StoreError> {
        self.move_label(secret, Which::Current, Some(token), from)
            .await
    }

    async fn unstage(&self, secret: &str, token: &str) -> Result<(), StoreError> {
        self.move_label(secret, Which::Pending(token), None, token)
            .await
    }
}

/// A function's ARN without the version or alias that may follow the name.
fn unqualified(arn: &str) -> &str {
    match arn.match_indices(':').nth(6) {
        Some((end, _)) => &arn[..end],
        None => arn,
    }
}

/// Sorts the SDK's error by what an operator must do about it.
fn classify<E>(operation: &'static str, error: SdkError<E>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    if !matches!(error, SdkError::ServiceError(_)) {
        return StoreError::Unreachable {
            operation,
            reason: DisplayErrorContext(&error).to_string(),
        };
    }
    let message = error.message().unwrap_or("no message").to_owned();
    match error.code().unwrap_or("an unknown error") {
        "ResourceNotFoundException" => StoreError::NoSuchSecret { operation },
        "AccessDeniedException" => StoreError::AccessDenied { operation, message },
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded" => StoreError::Throttled { operation, message },
        code => StoreError::Refused {
            operation,
            code: code.to_owned(),
            message,
        },
    }
}

/// Counts requests as they are sent, so that retries count.
#[derive(Clone, Debug, Default)]
struct Sent(Arc<AtomicU32>);

impl Intercept for Sent {
    fn name(&self) -> &'static str {
        "Sent"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
