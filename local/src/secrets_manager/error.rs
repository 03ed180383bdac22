//! The service's errors, with the real types, messages and status codes.

use super::labels::LabelError;

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// The HTTP status: 400 if the service itself refuses.
    pub status: u16,
    /// The error type, `ResourceNotFoundException` for example.
    pub code: String,
    /// The message.
    pub message: String,
}

impl ServiceError {
    pub(super) fn refused(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::refused("ResourceNotFoundException", message)
    }

    pub(super) fn no_such_secret() -> Self {
        Self::not_found("Secrets Manager can't find the specified secret.")
    }

    pub(super) fn exists(message: impl Into<String>) -> Self {
        Self::refused("ResourceExistsException", message)
    }

    pub(super) fn request(message: impl Into<String>) -> Self {
        Self::refused("InvalidRequestException", message)
    }

    pub(super) fn marked_for_deletion() -> Self {
        Self::request(
            "You can't perform this operation on the secret because it was marked for deletion.",
        )
    }

    pub(super) fn rotation_in_progress() -> Self {
        Self::request("A previous rotation isn't complete. That rotation will be reattempted.")
    }

    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::refused("InvalidParameterException", message)
    }

    pub(super) fn next_token() -> Self {
        Self::refused(
            "InvalidNextTokenException",
            "You provided an invalid NextToken value.",
        )
    }

    /// A request fails validation: lengths, characters.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::refused("ValidationException", message)
    }

    /// Our own error: a request is served completely or not at all.
    pub(super) fn not_served(member: &str) -> Self {
        Self::refused(
            "NotServedByLocalSecretsManager",
            format!(
                "The local world does not serve the member {member} of this operation; leave it out, or use the real service."
            ),
        )
    }

    pub(super) fn serialization(reason: &serde_json::Error) -> Self {
        Self::refused("SerializationException", reason.to_string())
    }

    pub(super) fn access_denied(message: impl Into<String>) -> Self {
        Self::refused("AccessDeniedException", message)
    }

    pub(super) fn malformed_policy(message: impl Into<String>) -> Self {
        Self::refused("MalformedPolicyDocumentException", message)
    }

    /// Our own error, not an AWS code: nobody must read it as a denial.
    pub(super) fn unjudged(message: impl Into<String>) -> Self {
        Self::refused("UnjudgedByLocalIam", message)
    }

    pub(super) fn unknown_operation(operation: &str) -> Self {
        Self::refused(
            "UnknownOperationException",
            format!(
                "The local Secrets Manager has no operation {operation}; use the real service for it."
            ),
        )
    }

    /// The refusal of a label rule.
    ///
    /// The texts are the real service's, except for `RemoveFromMismatch` and `NothingToDo`: only the type of those is documented.
    pub(super) fn labels(error: LabelError, arn: &str) -> Self {
        let no_value = |what| {
            Self::not_found(format!(
                "Secrets Manager can't find the specified secret value for {what}"
            ))
        };
        match error {
            LabelError::NoValueForVersion(id) => no_value(format!("VersionId: {id}")),
            LabelError::NoValueForLabel(label) => no_value(format!("staging label: {label}")),
            LabelError::Mismatch => Self::request(
                "You provided a VersionStage that is not associated to the provided VersionId.",
            ),
            LabelError::TokenInUse(token) => Self::exists(format!(
                "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}."
            )),
            LabelError::RotationInProgress(_) => Self::rotation_in_progress(),
            LabelError::RemoveFromMissing { label, attached_to } => Self::parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version \
                 {attached_to}, so you must explicitly reference that version in RemoveFromVersionId."
            )),
            LabelError::RemoveFromMismatch { label, claimed } => Self::parameter(format!(
                "Staging label {label} isn't attached to version {claimed}, which you provided as RemoveFromVersionId."
            )),
            LabelError::CurrentCannotBeRemoved => Self::parameter(
                "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
            ),
            LabelError::NothingToDo => {
                Self::parameter("You must provide MoveToVersionId, RemoveFromVersionId, or both.")
            }
        }
    }
}
