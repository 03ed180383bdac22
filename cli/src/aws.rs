//! Clients of AWS's services: region, profile, endpoint and roots as the AWS CLI takes them, and what its errors mean.

use std::{env, error::Error as _, fs, io, path::PathBuf};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use clap::Args;

/// Taken as the AWS CLI takes them.
#[derive(Debug, Args)]
pub struct AwsArguments {
    /// The region; without it AWS_REGION, AWS_DEFAULT_REGION or the profile's.
    #[arg(long, global = true, help_heading = "AWS")]
    pub region: Option<String>,
    /// The profile; without it AWS_PROFILE's, or the default one.
    #[arg(long, global = true, help_heading = "AWS")]
    pub profile: Option<String>,
    /// Another endpoint; without it AWS_ENDPOINT_URL or the region's.
    #[arg(long, global = true, help_heading = "AWS", value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// What all clients are made from.
///
/// # Errors
///
/// No region is known, or `AWS_CA_BUNDLE` holds no certificates.
pub async fn configuration(arguments: &AwsArguments) -> Result<SdkConfig, Error> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(roots()?)
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(region) = &arguments.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &arguments.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &arguments.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    let configuration = loader.load().await;
    match configuration.region() {
        // an empty variable is none
        Some(region) if !region.as_ref().is_empty() => Ok(configuration),
        _ => Err(Error::NoRegion),
    }
}

/// The machine's roots, or in their place those in the file that `AWS_CA_BUNDLE` names.
fn roots() -> Result<TlsContext, Error> {
    let mut trust = TrustStore::default();
    if let Some(file) = env::var_os("AWS_CA_BUNDLE").filter(|file| !file.is_empty()) {
        let file = PathBuf::from(file);
        let pem = fs::read(&file).map_err(|reason| Error::Roots { file, reason })?;
        trust = TrustStore::empty().with_pem_certificate(pem);
    }
    TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| Error::Tls {
            reason: error.to_string(),
        })
}

/// Why a service did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// Nothing says where.
    #[error(
        "no region is known: give --region, set AWS_REGION, or give the profile a region (aws configure)"
    )]
    NoRegion,
    /// Nothing says as whom.
    #[error(
        "there are no credentials ({reason}): set AWS_PROFILE or give --profile, sign in (aws sso login), or set \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials { reason: String },
    /// `AWS_CA_BUNDLE` cannot be read.
    #[error("AWS_CA_BUNDLE, {}, cannot be read ({reason}): correct it or unset it", file.display())]
    Roots { file: PathBuf, reason: io::Error },
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error("no TLS with these roots ({reason}): correct AWS_CA_BUNDLE or unset it")]
    Tls { reason: String },
    /// A right is missing.
    #[error("{action} is denied ({message}): allow it to whoever runs rotatectl")]
    Denied {
        action: &'static str,
        message: String,
    },
    /// The service said so.
    #[error(
        "{action}: there is no such thing ({message}): check its name, the region and the account"
    )]
    Absent {
        action: &'static str,
        message: String,
    },
    /// Too many requests, after the SDK's retries.
    #[error("{action} is throttled ({message}): others use the same quota; try again in a moment")]
    Throttled {
        action: &'static str,
        message: String,
    },
    /// Any other answer.
    #[error("{action} is refused ({code}: {message}){}", cure(code))]
    Refused {
        action: &'static str,
        code: String,
        message: String,
    },
    /// No answer.
    #[error(
        "{action} got no answer ({reason}): check --endpoint-url, --region and the network, and try again"
    )]
    Unreachable {
        action: &'static str,
        reason: String,
    },
}

/// What to do about an answer whose own message does not tell.
fn cure(code: &str) -> &'static str {
    match code {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "ExpiredToken" => ": the credentials are not, or no longer, valid: sign in again",
        _ => ": see the service's message",
    }
}

/// Sorts the SDK's error by what an operator does about it. `action` is named as IAM names it:
/// `secretsmanager:RotateSecret`.
pub fn explain<E>(action: &'static str, error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    if !matches!(error, SdkError::ServiceError(_)) {
        return without_answer(action, &error);
    }
    let message = error.message().unwrap_or("no message").to_owned();
    match error.code().unwrap_or("an unknown error") {
        "AccessDeniedException" | "AccessDenied" => Error::Denied { action, message },
        "ResourceNotFoundException" => Error::Absent { action, message },
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded" => Error::Throttled { action, message },
        code => Error::Refused {
            action,
            code: code.to_owned(),
            message,
        },
    }
}

fn without_answer<E>(action: &'static str, error: &SdkError<E>) -> Error
where
    E: std::error::Error + 'static,
{
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(credentials) = error.downcast_ref::<CredentialsError>() {
            let reason = match credentials {
                CredentialsError::CredentialsNotLoaded(_) => {
                    "none of the usual places has any".to_owned()
                }
                other => innermost(other),
            };
            return Error::NoCredentials { reason };
        }
        cause = error.source();
    }
    Error::Unreachable {
        action,
        reason: innermost(error),
    }
}

/// What lies at the bottom of an error is what happened; above it stand the SDK's layers.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
