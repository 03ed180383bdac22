//! The errors of AWS's services, and what an operator can do about them.

use std::{error::Error as _, io, path::PathBuf};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// No region is given.
    #[error(
        "no region is known: give --region or a full ARN, set AWS_REGION, or give the profile {profile} a region \
         (aws configure set region REGION --profile {profile})"
    )]
    NoRegion { profile: String },
    /// Two different regions are given.
    #[error(
        "two regions are given, {first} and {second}: name secrets of one region; leave out --region if an ARN has it"
    )]
    TwoRegions { first: String, second: String },
    /// No such profile.
    #[error(
        "there is no profile {profile} (the files have {known}): correct --profile or AWS_PROFILE, or make it with \
         aws configure --profile {profile}"
    )]
    UnknownProfile { profile: String, known: String },
    /// The AWS CLI's files cannot be read.
    #[error(
        "the AWS CLI's files cannot be read ({reason}): correct ~/.aws/config and ~/.aws/credentials, or what \
         AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name"
    )]
    ProfileFiles { reason: String },
    /// Only one half of an access key is set.
    #[error(
        "{missing} is not set, but the other half of the key is: set both, or unset both and give --profile"
    )]
    HalfAKey { missing: &'static str },
    /// No credentials exist.
    #[error(
        "there are no credentials (none in the environment, none in the default profile, and no role of this machine): \
         set AWS_PROFILE or give --profile, sign in (aws sso login), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials,
    /// The credentials cannot be loaded.
    #[error("{reason}")]
    Credentials { reason: String },
    /// `AWS_CA_BUNDLE` cannot be read.
    #[error("AWS_CA_BUNDLE, {}, cannot be read ({reason}): correct it or unset it", file.display())]
    Roots { file: PathBuf, reason: io::Error },
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error("TLS cannot be set up with these roots ({reason}): correct AWS_CA_BUNDLE or unset it")]
    Tls { reason: String },
    /// A right is missing.
    #[error("{action} is denied ({message}): allow it for the principal that runs rotatectl")]
    Denied {
        action: &'static str,
        message: String,
    },
    /// The service said that the thing does not exist.
    #[error("{action}: not found ({message}): check the name, the region and the account")]
    Absent {
        action: &'static str,
        message: String,
    },
    /// The service said that the secret does not exist.
    #[error("no secret \"{secret}\" in {place}{}", did_you_mean(meant))]
    NoSecret {
        secret: String,
        place: String,
        meant: Option<String>,
    },
    /// A pattern matches no secret.
    #[error(
        "no secret matches \"{pattern}\": see rotatectl status, and check --region and --profile"
    )]
    NoMatch { pattern: String },
    /// Too many requests, even after the SDK's retries.
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
    /// There was no answer.
    #[error(
        "{action} got no answer ({reason}): check --endpoint-url, --region and the network, and try again"
    )]
    Unreachable {
        action: &'static str,
        reason: String,
    },
}

impl Error {
    pub(super) fn half_a_key(missing: &'static str) -> Self {
        Self::HalfAKey { missing }
    }

    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRegion { .. } => "no_region",
            Self::TwoRegions { .. } => "two_regions",
            Self::UnknownProfile { .. } => "unknown_profile",
            Self::ProfileFiles { .. } => "profile_files",
            Self::HalfAKey { .. } => "half_a_key",
            Self::NoCredentials => "no_credentials",
            Self::Credentials { .. } => "credentials",
            Self::Roots { .. } | Self::Tls { .. } => "ca_bundle",
            Self::Denied { .. } => "denied",
            Self::Absent { .. } => "absent",
            Self::NoSecret { .. } => "no_secret",
            Self::NoMatch { .. } => "no_match",
            Self::Throttled { .. } => "throttled",
            Self::Refused { .. } => "refused",
            Self::Unreachable { .. } => "unreachable",
        }
    }

    /// Whether the same call may succeed in a moment.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => matches!(
                code.as_str(),
                "InternalServiceError"
                    | "InternalFailure"
                    | "ServiceUnavailable"
                    | "ServiceException"
            ),
            _ => false,
        }
    }
}

fn did_you_mean(meant: &Option<String>) -> String {
    match meant {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => ": check its name, --region and --profile".to_owned(),
    }
}

/// What to do about an error, if the service's message does not say it.
fn cure(code: &str) -> &'static str {
    match code {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "ExpiredToken" => ": the credentials are invalid or have expired: sign in again",
        _ => ": see the service's message",
    }
}

/// Converts the SDK's error by what an operator can do about it. `action` is the name in IAM: `secretsmanager:RotateSecret`.
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
            return match credentials {
                CredentialsError::CredentialsNotLoaded(_) => Error::NoCredentials,
                // the profile's own error says what to do
                CredentialsError::InvalidConfiguration(_) => Error::Credentials {
                    reason: innermost(credentials),
                },
                other => Error::Credentials {
                    reason: format!(
                        "the credentials cannot be loaded ({}): set AWS_PROFILE or give --profile, or set \
                         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                        innermost(other)
                    ),
                },
            };
        }
        cause = error.source();
    }
    Error::Unreachable {
        action,
        reason: innermost(error),
    }
}

/// The innermost source says what happened. The outer ones are layers of the SDK.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
