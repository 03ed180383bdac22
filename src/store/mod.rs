//! Where a secret's versions are kept.

mod secrets_manager;

use std::{collections::BTreeMap, time::SystemTime};

use secrecy::SecretString;

pub use secrets_manager::SecretsManager;

/// The store of one account's secrets, as a rotation needs it.
///
/// The duties of every implementation: absent is `None` only when the service said so, and every other missing answer is an
/// error; a write whose answer was lost may have happened; nothing is retried under another token.
#[expect(
    async_fn_in_trait,
    reason = "used through generics only, on one thread"
)]
pub trait SecretStore {
    /// The secret's versions, and their staging labels.
    async fn versions(&self, secret: &str) -> Result<Versions, StoreError>;

    /// One version's value, or `None` if the service says that no such version exists, or that it has no value.
    async fn read(&self, secret: &str, which: Which<'_>) -> Result<Option<Version>, StoreError>;

    /// Stores the document as the version `token`, under AWSPENDING alone, in the form that AWSCURRENT has.
    ///
    /// A version has one value forever: if `token` has another one, nothing is written, and the result is
    /// [`Written::Conflict`].
    async fn write_pending(
        &self,
        secret: &str,
        token: &str,
        rotation_token: Option<&SecretString>,
        document: &SecretString,
        form: Form,
    ) -> Result<Written, StoreError>;

    /// Moves AWSCURRENT from the version `from` to `token`. The service refuses if `from` no longer has it.
    async fn promote(&self, secret: &str, token: &str, from: &str) -> Result<(), StoreError>;

    /// Removes AWSPENDING from the version `token`. The service refuses if the version no longer has it.
    async fn unstage(&self, secret: &str, token: &str) -> Result<(), StoreError>;
}

/// What DescribeSecret reports of a secret's versions.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// Whether rotation is configured.
    pub rotation_enabled: bool,
    /// When the last rotation ended, by the service's clock.
    pub rotated: Option<SystemTime>,
    /// Version id to staging labels.
    pub labels: BTreeMap<String, Vec<String>>,
}

/// When a secret rotates, according to ListSecrets.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The secret's name.
    pub name: String,
    /// When it last rotated, or was created if it never did, by the service's clock.
    pub since: Option<SystemTime>,
    /// Until when it must rotate next; `None` without a schedule.
    pub next: Option<SystemTime>,
}

/// Which version to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one with AWSCURRENT.
    Current,
    /// The one with AWSPREVIOUS.
    Previous,
    /// The one with this id, which must have AWSPENDING too.
    Pending(&'a str),
    /// The one with this id, regardless of its labels.
    Version(&'a str),
}

impl Which<'_> {
    /// The staging label; for a version without one, its name in messages.
    pub fn label(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
            Self::Pending(_) => "AWSPENDING",
            Self::Version(_) => "other",
        }
    }
}

/// A version's value.
#[derive(Debug)]
pub struct Version {
    /// The secret's ARN in the store, regardless of how the caller named the secret.
    pub secret: String,
    /// The version's id.
    pub id: String,
    /// The text that was stored.
    pub document: SecretString,
    /// How it was stored.
    pub form: Form,
    /// When it was stored, by the service's clock.
    pub created: Option<SystemTime>,
}

/// The two fields that can hold a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `SecretString`.
    Text,
    /// `SecretBinary`, of a text in UTF-8.
    Binary,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The document is stored.
    Stored,
    /// The token already has another document, which stays unchanged.
    Conflict,
}

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum StoreError {
    /// The secret does not exist.
    #[error("{operation}: Secrets Manager has no such secret: check its ARN and the region")]
    NoSuchSecret { operation: &'static str },
    /// A version's value is not text.
    #[error(
        "the {label} version holds SecretBinary that is not UTF-8 text: store the JSON document as SecretString and rotate again"
    )]
    Binary { label: &'static str },
    /// IAM or a resource policy refuses the call.
    #[error(
        "{operation}: access denied ({message}): grant secretsmanager:{operation} {} to the function's role",
        needed(operation)
    )]
    AccessDenied {
        operation: &'static str,
        message: String,
    },
    /// Too many requests.
    #[error(
        "{operation}: throttled ({message}): nothing was changed; Secrets Manager retries a rotation, and the schedule \
         retries an age check"
    )]
    Throttled {
        operation: &'static str,
        message: String,
    },
    /// The service understood the call and refused it.
    #[error(
        "{operation}: refused with {code} ({message}): see the secret with DescribeSecret, then rotate again"
    )]
    Refused {
        operation: &'static str,
        code: String,
        message: String,
    },
    /// No answer.
    #[error(
        "{operation}: no answer from Secrets Manager ({reason}): a function in a VPC needs a VPC endpoint for \
         secretsmanager, or a NAT gateway, and a security group that lets it out on port 443"
    )]
    Unreachable {
        operation: &'static str,
        reason: String,
    },
}

/// The resource for which an operation needs permission.
fn needed(operation: &str) -> &'static str {
    match operation {
        "ListSecrets" => "on * (it knows no resource)",
        _ => "on the secret, and kms:Decrypt and kms:GenerateDataKey on its key,",
    }
}

impl StoreError {
    /// The stable name of the kind, for alarms.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::NoSuchSecret { .. } => "SecretNotFound",
            Self::Binary { .. } => "SecretIsBinary",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::Throttled { .. } => "Throttled",
            Self::Refused { .. } => "StoreRefused",
            Self::Unreachable { .. } => "StoreUnreachable",
        }
    }
}
