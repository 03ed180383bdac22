//! Where a secret's versions are kept.

mod secrets_manager;

use std::{collections::BTreeMap, time::SystemTime};

use secrecy::SecretString;

pub use secrets_manager::SecretsManager;

/// The store of one account's secrets, as a rotation needs it.
///
/// What every implementation owes: absent is `None` only when the service said so, everything else that keeps
/// an answer away is an error; a write that the caller never heard of may have happened; nothing is retried
/// under another token.
#[expect(
    async_fn_in_trait,
    reason = "used through generics only, on one thread"
)]
pub trait SecretStore {
    /// Which versions there are, and their staging labels.
    async fn versions(&self, secret: &str) -> Result<Versions, StoreError>;

    /// One version's value, or `None` if the service says that there is no such version, or none with a value.
    async fn read(&self, secret: &str, which: Which<'_>) -> Result<Option<Version>, StoreError>;

    /// Stores the document as the version `token`, under AWSPENDING alone, in the form that AWSCURRENT has.
    ///
    /// A version has one value for ever: if `token` has another one, nothing is written and
    /// [`Written::Conflict`] says so.
    async fn write_pending(
        &self,
        secret: &str,
        token: &str,
        rotation_token: Option<&SecretString>,
        document: &SecretString,
        form: Form,
    ) -> Result<Written, StoreError>;

    /// Moves AWSCURRENT from the version `from` to `token`; refused by the service if `from` has it no longer.
    async fn promote(&self, secret: &str, token: &str, from: &str) -> Result<(), StoreError>;

    /// Takes AWSPENDING off the version `token`; refused by the service if it has it no longer.
    async fn unstage(&self, secret: &str, token: &str) -> Result<(), StoreError>;
}

/// What DescribeSecret tells of a secret's versions.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// Whether rotation is configured.
    pub rotation_enabled: bool,
    /// When the last rotation ended, by the service's clock.
    pub rotated: Option<SystemTime>,
    /// Version id to staging labels.
    pub labels: BTreeMap<String, Vec<String>>,
}

/// When a secret rotates, as ListSecrets tells it.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The secret's name.
    pub name: String,
    /// When it last rotated, or was made if it never did, by the service's clock.
    pub since: Option<SystemTime>,
    /// Until when it has to rotate next; none where there is no schedule.
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
    /// The one with this id, whatever its labels are.
    Version(&'a str),
}

impl Which<'_> {
    /// The staging label; for a version without one, what it is called in messages.
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
    /// The secret's ARN, as the store has it, however it was named.
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

/// The two fields that a value can stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `SecretString`.
    Text,
    /// `SecretBinary`, of a text in UTF-8.
    Binary,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The document is stored.
    Stored,
    /// The token already has another document; it was left as it is.
    Conflict,
}

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum StoreError {
    /// The secret does not exist.
    #[error("{operation}: Secrets Manager has no such secret: check its ARN and the region")]
    NoSuchSecret { operation: &'static str },
    /// A version's value is no text.
    #[error(
        "the {label} version holds SecretBinary that is no text in UTF-8: store the JSON document as SecretString and rotate again"
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
        "{operation}: throttled ({message}): nothing was changed, and it is tried again: a rotation by Secrets Manager, an age check by its \
         schedule"
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

/// On what the permission for an operation is needed.
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
