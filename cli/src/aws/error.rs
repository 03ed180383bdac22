//! What the errors of AWS's services mean to an operator.

use std::{error::Error as _, io, path::PathBuf};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

/// Why a service did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// Nothing says where.
    #[error(
        "no region is known: give --region or a full ARN, set AWS_REGION, or give the profile {profile} a region \
         (aws configure set region REGION --profile {profile})"
    )]
    NoRegion { profile: String },
    /// Two things say where, and differently.
    #[error(
        "two regions are named, {first} and {second}: name secrets of one region, without --region where an ARN has it"
    )]
    TwoRegions { first: String, second: String },
    /// No such profile.
    #[error(
        "there is no profile {profile} (the files have {known}): correct --profile or AWS_PROFILE, or make it with \
         aws configure --profile {profile}"
    )]
    UnknownProfile { profile: String, known: String },
    /// The AWS CLI's files.
    #[error(
        "the AWS CLI's files cannot be read ({reason}): correct ~/.aws/config and ~/.aws/credentials, or what \
         AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name"
    )]
    ProfileFiles { reason: String },
    /// Half of a key.
    #[error(
        "{missing} is not set, and the other half of the key is: set both, or neither and name a --profile"
    )]
    HalfAKey { missing: &'static str },
    /// Nothing says as whom.
    #[error(
        "there are no credentials (none in the environment, none in the default profile, and no role of this machine): \
         set AWS_PROFILE or give --profile, sign in (aws sso login), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoCredentials,
    /// What is set up does not work.
    #[error("{reason}")]
    Credentials { reason: String },
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
    /// The service said that there is no such secret.
    #[error("no secret \"{secret}\" in {place}{}", did_you_mean(meant))]
    NoSecret {
        secret: String,
        place: String,
        meant: Option<String>,
    },
    /// None of those that are there.
    #[error(
        "no secret matches \"{pattern}\": see rotatectl status, and check --region and --profile"
    )]
    NoMatch { pattern: String },
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

impl Error {
    pub(super) fn half_a_key(missing: &'static str) -> Self {
        Self::HalfAKey { missing }
    }

    /// A word that stays the same, for scripts.
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

    /// Whether the same call may succeed in a moment: nothing is known, and nothing is wrong with the call.
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
            return match credentials {
                CredentialsError::CredentialsNotLoaded(_) => Error::NoCredentials,
                // a profile's says itself what to do
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

/// What lies at the bottom of an error is what happened; above it stand the SDK's layers.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
