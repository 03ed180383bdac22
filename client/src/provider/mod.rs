//! The stores that a secret comes from.
//!
//! | feature | provider | what it reads |
//! |---|---|---|
//! | `aws` (default) | [`Aws`] | AWS Secrets Manager, replica regions included |
//! | `agent` | [`Agent`] | AWS's Secrets Manager Agent, or its Lambda extension |
//! | `rds_iam` | [`RdsIam`] | nothing: it signs tokens for PostgreSQL on RDS, with the identity that AWS gives this machine |
//! | `vault` | [`Vault`] | HashiCorp Vault: KV version 2, and the database engine's leases |
//! | `azure` | [`Azure`] | Azure Key Vault |
//! | `file` | [`File`] | a mounted volume: a Kubernetes Secret, CSI Secrets Store, External Secrets |
//! | `env` | [`Env`] | environment variables and `.env`, for local work |
//! | | [`Fixed`] | the values that you give it, for tests |

#[cfg(feature = "agent")]
mod agent;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(any(feature = "agent", feature = "aws", feature = "azure"))]
mod codes;
#[cfg(feature = "env")]
mod env;
#[cfg(feature = "file")]
mod file;
mod fixed;
#[cfg(feature = "https")]
mod https;
mod refusal;
#[cfg(any(feature = "agent", feature = "file"))]
mod small_file;
#[cfg(feature = "vault")]
mod vault;

#[cfg(fuzzing)]
pub(crate) use self::{
    agent::error_text as agent_error_text, azure::error_text as azure_error_text,
};

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use secrecy::{SecretSlice, SecretString};
use tokio_stream::Stream;

#[cfg(feature = "agent")]
pub use agent::Agent;
#[cfg(feature = "rds_iam")]
pub use aws::RdsIam;
#[cfg(feature = "aws")]
pub use aws::{Aws, Selected, Selector};
#[cfg(feature = "azure")]
pub use azure::Azure;
#[cfg(feature = "env")]
pub use env::Env;
#[cfg(feature = "file")]
pub use file::File;
pub use fixed::Fixed;
pub use refusal::{Outage, Refusal};
#[cfg(feature = "vault")]
pub use vault::{Database, Kv, StaticRoles, Vault};

/// A store that secrets are read from.
///
/// The duties of every implementation: [`ProviderErrorKind::NotFound`] and [`ProviderErrorKind::AccessDenied`] only if the
/// store said so. Time limits, retries, backoff and the cache are the caller's: an implementation asks once.
pub trait SecretProvider: Send + Sync + 'static {
    /// The version of the secret that has this stage now.
    ///
    /// # Errors
    ///
    /// There is no such version, or no answer. A store without stages returns [`ProviderErrorKind::NotFound`] for every stage
    /// except [`Stage::Current`].
    fn fetch(
        &self,
        secret: &str,
        stage: Stage,
    ) -> impl Future<Output = Result<Version, ProviderError>> + Send;

    /// The same from the store itself, past any cache in front of it.
    ///
    /// It is called when the server rejects the current version, when there is no current version, when a new version was
    /// announced, and at [`refresh`](crate::RotatingSecret::refresh); [`fetch`](Self::fetch) is called when a lifetime nears
    /// its end.
    ///
    /// # Errors
    ///
    /// As for [`fetch`](Self::fetch).
    fn fetch_uncached(
        &self,
        secret: &str,
        stage: Stage,
    ) -> impl Future<Output = Result<Version, ProviderError>> + Send {
        self.fetch(secret, stage)
    }

    /// An item means that the store may have another version than before: then it is asked, once a second at most. The first
    /// item comes at once, for changes from before the call. Without this stream the lifetime finds a change.
    fn changes(&self, _secret: &str) -> Changes {
        Box::pin(tokio_stream::empty())
    }

    /// The current versions of several secrets, in the order of the ids; with as few calls as the store allows.
    fn fetch_all(
        &self,
        secrets: &[&str],
    ) -> impl Future<Output = Vec<Result<Version, ProviderError>>> + Send {
        async move {
            let mut versions = Vec::with_capacity(secrets.len());
            for secret in secrets {
                versions.push(self.fetch(secret, Stage::Current).await);
            }
            versions
        }
    }
}

/// The result of [`SecretProvider::changes`].
pub type Changes = Pin<Box<dyn Stream<Item = ()> + Send>>;

/// One provider can serve many secrets.
impl<P: SecretProvider> SecretProvider for Arc<P> {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        P::fetch(self, secret, stage).await
    }

    async fn fetch_uncached(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        P::fetch_uncached(self, secret, stage).await
    }

    fn changes(&self, secret: &str) -> Changes {
        P::changes(self, secret)
    }

    async fn fetch_all(&self, secrets: &[&str]) -> Vec<Result<Version, ProviderError>> {
        P::fetch_all(self, secrets).await
    }
}

/// Which version of a secret, in the words of Secrets Manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The current version.
    Current,
    /// The version that a rotation in progress will make current.
    Pending,
    /// The version that was current before this one.
    Previous,
}

impl Stage {
    /// Its staging label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Pending => "AWSPENDING",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

/// One version of a secret, as a provider delivers it.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use rotating_secret::provider::{Value, Version};
/// let version = Version::new("v1", Value::Binary(vec![1, 2, 3].into()))
///     .with_created(SystemTime::now())
///     .with_lease(Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Version {
    /// Distinguishes this version from every other one of the secret.
    pub id: String,
    /// The secret value.
    pub value: Value,
    /// The secret's ARN, if it has one: the channel on which a change is announced is derived from it.
    pub arn: Option<String>,
    /// The secret's name, where the store says it.
    pub name: Option<String>,
    /// The staging labels of this version, where the store says them.
    pub stages: Vec<String>,
    /// For a lease: how much longer the store lets it live.
    pub lease: Option<Duration>,
    /// When it was made, by the store's clock. It reveals a store that lags.
    pub created: Option<SystemTime>,
    /// The version before it, if it is needed: fetched separately, and not by the provider.
    pub(crate) previous: Previous,
    /// Whether the password is a token, which a server asks for in clear text.
    pub auth_token: bool,
}

impl Version {
    /// A version without an ARN, a lease or a date.
    pub fn new(id: impl Into<String>, value: Value) -> Self {
        Self {
            id: id.into(),
            value,
            arn: None,
            name: None,
            stages: Vec::new(),
            lease: None,
            created: None,
            previous: Previous::None,
            auth_token: false,
        }
    }

    /// The same for a text.
    pub fn text(id: impl Into<String>, text: impl Into<SecretString>) -> Self {
        Self::new(id, Value::Text(text.into()))
    }

    /// Adds the secret's ARN.
    #[must_use]
    pub fn with_arn(self, arn: impl Into<String>) -> Self {
        let arn = Some(arn.into());
        Self { arn, ..self }
    }

    /// Adds how much longer the store lets it live.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        let lease = Some(lease);
        Self { lease, ..self }
    }

    /// Marks the password as a token that was made for this login and ends soon, with its lease: cloud providers log in with an
    /// identity in this way, in place of a password.
    ///
    /// It is sent to a server that asks for it in clear text, as no other password is, and over TLS only. A new token under the
    /// same id is no new version: later logins use it, and open connections stay.
    #[must_use]
    pub fn as_auth_token(self) -> Self {
        Self {
            auth_token: true,
            ..self
        }
    }

    /// Adds when it was made, by the store's clock.
    #[must_use]
    pub fn with_created(self, created: SystemTime) -> Self {
        let created = Some(created);
        Self { created, ..self }
    }
}

/// What is known about the version before one.
#[derive(Clone, Debug)]
pub(crate) enum Previous {
    /// The store says that there is none, or it was not asked.
    None,
    Read(Box<Version>),
    /// There may be one.
    Unread(ProviderError),
}

/// The secret itself. Debug shows only which kind it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// Text; JSON in most cases.
    Text(SecretString),
    /// Bytes.
    Binary(SecretSlice<u8>),
}

/// Why a store gave no version.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct ProviderError {
    kind: ProviderErrorKind,
    message: Box<str>, // an error's size is that of every result
    refusal: Option<Arc<Refusal>>,
    outage: Option<Outage>,
}

/// The kind of a failure, which decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The store asks for fewer requests. Asked again after a while.
    Throttled,
    /// No answer: the network, a time limit, a 5xx. Asked again after a while.
    Unavailable,
    /// The store says that this caller may not read it. Not asked again before the lifetime is over.
    AccessDenied,
    /// The store says that there is no such secret, or no such version. Not asked again before the lifetime is over.
    NotFound,
    /// The answer was not understood, or the request was not. Not asked again before the lifetime is over.
    Invalid,
}

impl ProviderErrorKind {
    /// Whether the same question may soon get an answer.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }

    /// The name for metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::AccessDenied => "access denied",
            Self::NotFound => "not found",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for ProviderErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ProviderError {
    /// An error of this kind. The message says what happened, and what to do; it never quotes a secret.
    pub fn new(kind: ProviderErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into(),
            refusal: None,
            outage: None,
        }
    }

    /// The kind of the failure.
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }
}

/// A version's id, for a store without version ids: the same for the same value, within this process.
///
/// Its key is random, so the id reveals nothing about the value.
#[cfg(any(feature = "env", feature = "file"))]
pub(crate) fn fingerprint(value: &str) -> String {
    static KEY: std::sync::OnceLock<std::hash::RandomState> = std::sync::OnceLock::new();
    let key = KEY.get_or_init(std::hash::RandomState::new);
    format!("{:016x}", std::hash::BuildHasher::hash_one(key, value))
}
