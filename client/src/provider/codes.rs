//! Error codes: which text is one, and what Secrets Manager's codes mean. The service itself and its agent send the same ones.

#[cfg(any(feature = "aws", feature = "agent"))]
use super::ProviderErrorKind as Kind;

/// Whether this is a code, which messages may show. Any other text in its place may be long, or a secret.
#[cfg(any(feature = "agent", feature = "azure"))]
pub(super) fn is_code(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Sorts a refusal by the service's own code, and says what to do.
#[cfg(any(feature = "aws", feature = "agent"))]
pub(super) fn sorted(code: &str) -> (Kind, &'static str) {
    match code {
        "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => (Kind::Throttled, "it is retried"),
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
        | "ServiceUnavailableException" => (Kind::Unavailable, "it is retried"),
        _ => (Kind::Invalid, "see what the service says"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_services_own_error_code_makes_a_secret_absent_or_forbidden() {
        for (code, kind) in [
            ("ThrottlingException", Kind::Throttled),
            ("AccessDeniedException", Kind::AccessDenied),
            ("ResourceNotFoundException", Kind::NotFound),
            ("InvalidRequestException", Kind::NotFound),
            ("InternalServiceError", Kind::Unavailable),
            ("DecryptionFailure", Kind::Invalid),
            ("", Kind::Invalid),
        ] {
            assert_eq!(sorted(code).0, kind, "{code}");
        }
    }
}
