//! What went wrong, and what to do about it.
//!
//! Each part has its own error; this one leaves the function. Its text goes to Lambda, to the log and to the operator who runs
//! DescribeSecret at night: first what happened, then what to do, and never a secret.

pub mod index;

use lambda_runtime::Diagnostic;

use crate::{
    document::DocumentError,
    engine::EngineError,
    event::EventError,
    password::PasswordError,
    rotation::{reversal, versions::Refusal},
    settings::SettingsError,
    store::StoreError,
};

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// The event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The function's environment.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The staging labels forbid the step.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The rollback is not possible, or no longer possible.
    #[error(transparent)]
    NotRolledBack(#[from] reversal::Refusal),
    /// Secrets Manager.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The generator.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// A version's document.
    #[error("the {label} version {version} {source}")]
    Document {
        label: &'static str,
        version: String,
        source: DocumentError,
    },
    /// The administrator's document.
    #[error("the administrator's secret {secret} {source}")]
    Administrator {
        secret: String,
        source: DocumentError,
    },
    /// `masterarn` names no secret with a current version.
    #[error(
        "the administrator's secret {secret} has no AWSCURRENT, or does not exist: correct \"masterarn\", or take it \
         out for a single user"
    )]
    NoAdministrator { secret: String },
    /// `masterarn` names a secret that the operator has not listed.
    #[error(
        "\"masterarn\" names {secret}, which is not in the function's ADMINISTRATOR_SECRETS, so it was not used: correct \
         \"masterarn\", or add that secret there (AdministratorSecretArns of the deployment)"
    )]
    AdministratorNotListed { secret: String },
    /// The token is staged, but its version has no value.
    #[error(
        "the AWSPENDING version has no value yet: createSecret comes first; Secrets Manager begins again with it"
    )]
    NoPendingValue,
    /// A version names another server than AWSCURRENT does.
    #[error(
        "the {label} version names another {field} than AWSCURRENT, and a credential is only sent to the server it \
         belongs to: correct the secret with PutSecretValue, then rotate again"
    )]
    AnotherServer {
        label: &'static str,
        field: &'static str,
    },
    /// The server rejected every version of the secret.
    #[error(
        "none of AWSCURRENT, AWSPENDING and AWSPREVIOUS logs in as {user} on {server}, which rejects them: the credential \
         was changed by hand; set one there (a role's with ALTER ROLE), store it with PutSecretValue, then rotate again"
    )]
    NoVersionLogsIn { user: String, server: String },
    /// The server rejected the new credential.
    #[error(
        "the AWSPENDING version does not log in as {user} on {server}, which rejects it: setSecret has not run, or the \
         credential was changed since; Secrets Manager begins again, AWSCURRENT is untouched"
    )]
    PendingRejected { user: String, server: String },
    /// A revocation would lock every client out.
    #[error(
        "nothing was revoked, because the AWSCURRENT version does not log in as {user} on {server}, and no version would be \
         left that does: rotate first, then revoke again"
    )]
    CurrentRejected { user: String, server: String },
    /// The step ran out of time.
    #[error(
        "the step was cut off after {seconds:.1} s, before Lambda would have ended it: nothing is lost, Secrets Manager \
         begins a rotation again, and rotatectl doctor shows what an operator's step has done; if it happens again, raise \
         the function's timeout"
    )]
    TimedOut { seconds: f32 },
}

impl Error {
    /// The stable name of the kind, for alarms: `errorType` in Lambda's answer, `error_type` in the log.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Event(EventError::MissingField { .. }) => "EventFieldMissing",
            Self::Event(EventError::NotAString { .. }) => "EventFieldInvalid",
            Self::Event(EventError::UnknownStep { .. }) => "StepUnknown",
            Self::Event(EventError::UnknownCheck { .. }) => "CheckUnknown",
            Self::Settings(SettingsError::Unreadable { .. }) => "SettingInvalid",
            Self::Settings(SettingsError::Policy(error)) | Self::Password(error) => match error {
                PasswordError::Length { .. } => "SettingInvalid",
                PasswordError::TooWeak { .. } => "PasswordPolicyTooWeak",
                PasswordError::Randomness { .. } => "NoRandomness",
            },
            Self::Refused(refusal) => refusal.error_type(),
            Self::NotRolledBack(refusal) => refusal.error_type(),
            Self::Store(error) => error.error_type(),
            Self::Engine(error) => error.error_type(),
            Self::Document { source, .. } => source.error_type(),
            Self::Administrator { .. } => "AdministratorDocumentInvalid",
            Self::NoAdministrator { .. } => "AdministratorNotFound",
            Self::AdministratorNotListed { .. } => "AdministratorNotListed",
            Self::NoPendingValue => "NoPendingValue",
            Self::AnotherServer { .. } => "AnotherServer",
            Self::NoVersionLogsIn { .. } => "NoVersionLogsIn",
            Self::PendingRejected { .. } => "PendingRejected",
            Self::CurrentRejected { .. } => "CurrentRejected",
            Self::TimedOut { .. } => "StepTimedOut",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.error_type().to_owned(),
            error_message: error.to_string(),
        }
    }
}
