//! The meaning of a failure: the service's own answer, an incomplete configuration, or an outage.

use std::{env, error::Error as StdError};

use aws_config::meta::ProviderChainError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ConnectorError, ErrorMetadata, SdkError};

use super::{super::codes::sorted, Kind, ProviderError};
use crate::causes::{causes, in_one_line};

/// Why the credentials were not loaded, if the request failed because of that.
pub(super) fn without_credentials(error: &(dyn StdError + 'static)) -> Option<ProviderError> {
    let error = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    let kind = kind(error);
    let reason = in_one_line(error);
    let message = match (kind, error) {
        (Kind::Unavailable | Kind::Throttled, _) => {
            format!(
                "the AWS credentials are not loaded now ({reason}){}",
                asked()
            )
        }
        (Kind::AccessDenied, _) => format!(
            "AWS refuses to give credentials ({reason}): check the role's trust policy and the permissions of the identity \
             that assumes it"
        ),
        (_, CredentialsError::CredentialsNotLoaded(_)) => none(&reason),
        _ => unusable(&reason),
    };
    Some(ProviderError::new(kind, message))
}

/// Whether the request was never sent, for a reason other than the network.
pub(super) fn is_unsent<E, R>(error: &SdkError<E, R>) -> bool
where
    E: StdError + 'static,
    R: std::fmt::Debug + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => true,
        SdkError::DispatchFailure(_) => !causes(error).any(is_silent),
        _ => false,
    }
}

/// No region is an error of this machine's configuration.
pub(super) fn without_region() -> ProviderError {
    let message = format!(
        "there is no region to read the secret in: set AWS_REGION, or region in a profile of {}, or give the secret's \
         full ARN",
        file("AWS_CONFIG_FILE", "~/.aws/config")
    );
    ProviderError::new(Kind::Invalid, message)
}

fn kind(error: &CredentialsError) -> Kind {
    if let CredentialsError::ProviderTimedOut(_) = error {
        return Kind::Unavailable;
    }
    if let Some(code) = causes(error).find_map(code) {
        return match code {
            // STS uses its own code
            "AccessDenied" => Kind::AccessDenied,
            code => sorted(code).0,
        };
    }
    let tried = causes(error).find_map(|cause| cause.downcast_ref());
    let is_silent = match tried {
        // every machine asks EC2's service: whether it should answer is known only if a variable names it
        Some(tried) => variable(METADATA).is_some() && any_is_silent(tried),
        None => causes(error).any(is_silent),
    };
    if is_silent {
        return Kind::Unavailable;
    }
    Kind::Invalid
}

fn code<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a str> {
    cause.downcast_ref::<ErrorMetadata>()?.code()
}

fn any_is_silent(tried: &ProviderChainError<CredentialsError>) -> bool {
    let mut attempts = tried.attempts().iter();
    attempts.any(|attempt| causes(attempt.error()).any(is_silent))
}

/// The network gave no answer.
fn is_silent(cause: &(dyn StdError + 'static)) -> bool {
    let error = cause.downcast_ref::<ConnectorError>();
    // an error without a kind is the SDK's own, from before the request was sent
    error.is_some_and(|error| error.is_io() || error.is_timeout() || error.as_other().is_some())
}

const METADATA: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// The source that was asked for credentials.
fn asked() -> String {
    [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        METADATA,
    ]
    .into_iter()
    .find_map(|name| Some(format!(": check {name}, which is {}", variable(name)?)))
    .unwrap_or_else(|| ": check the route to their source".to_owned())
}

fn none(reason: &str) -> String {
    let (id, key) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    let half = match (variable(id), variable(key)) {
        (Some(_), None) => Some((id, key)),
        (None, Some(_)) => Some((key, id)),
        _ => None,
    };
    if let Some((set, unset)) = half {
        return format!("{set} is set and {unset} is not: set both, or neither");
    }
    let files = files();
    match variable("AWS_PROFILE") {
        Some(profile) => format!(
            "the profile {profile}, which AWS_PROFILE names, gives no AWS credentials ({reason}): correct AWS_PROFILE, or \
             give the profile some in {files}"
        ),
        None => format!(
            "there are no AWS credentials ({reason}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to \
             a profile of {files}, or give this machine a role"
        ),
    }
}

fn unusable(reason: &str) -> String {
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let advice = if reason.contains("external process") {
        // the error quotes a text that is not JSON, and that may be a credential
        let reason = reason.split("could not parse response").next();
        let reason = reason.unwrap_or_default();
        return format!(
            "the credential_process of the profile {profile} fails ({reason}): run it by hand and see what it says"
        );
    } else if reason.contains("cargo feature") {
        "enable that feature of rotating-secret, or of aws-config where rotating-secret has none of that name"
            .to_owned()
    } else if reason.to_lowercase().contains("sso") {
        format!("run aws sso login --profile {profile}")
    } else if reason.contains("could not parse profile file") {
        format!("correct the syntax of {}", files())
    } else {
        format!("correct the profile {profile} in {}", files())
    };
    format!("the AWS credentials cannot be loaded ({reason}): {advice}")
}

fn files() -> String {
    format!(
        "{} or {}",
        file("AWS_CONFIG_FILE", "~/.aws/config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    )
}

fn file(name: &str, usual: &str) -> String {
    variable(name).unwrap_or_else(|| usual.to_owned())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_which_feature_a_profile_needs() {
        let reason = "This behavior requires following cargo feature(s) enabled: sso.";
        let text = unusable(reason);
        assert!(text.contains("enabled: sso"), "{text}");
        assert!(
            text.contains("enable that feature of rotating-secret"),
            "{text}"
        );
    }
}
