//! Where a secret comes from.
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
//! | | [`Fixed`] | what it was given, for tests |

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
pub(crate) use self::{agent::told as agent_told, azure::told as azure_told};

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
pub use refusal::Refusal;
#[cfg(feature = "vault")]
pub use vault::{Database, Kv, StaticRoles, Vault};

/// A store that secrets are read from.
///
/// What every implementation owes: [`ProviderErrorKind::NotFound`] and [`ProviderErrorKind::AccessDenied`] only where
/// the store said so. Time limits, retries, backoff and the cache are the caller's: an implementation asks once.
pub trait SecretProvider: Send + Sync + 'static {
    /// The version of the secret that has this stage now.
    ///
    /// # Errors
    ///
    /// There is none, or no answer. A store that knows no stages answers all but [`Stage::Current`] with
    /// [`ProviderErrorKind::NotFound`].
    fn fetch(
        &self,
        secret: &str,
        stage: Stage,
    ) -> impl Future<Output = Result<Version, ProviderError>> + Send;

    /// The same from the store itself, past any cache that stands before it.
    ///
    /// It is asked where the server rejects what is in force, where there is nothing in force, where somebody says that there is
    /// a new version, and at [`refresh`](crate::RotatingSecret::refresh); [`fetch`](Self::fetch) where a lifetime nears its end.
    ///
    /// # Errors
    ///
    /// As for [`fetch`](Self::fetch).
    fn fetch_anew(
        &self,
        secret: &str,
        stage: Stage,
    ) -> impl Future<Output = Result<Version, ProviderError>> + Send {
        self.fetch(secret, stage)
    }

    /// Tells whenever the store may have another version than before: it is asked then, once a second at most. The first item
    /// comes at once, for what changed before anybody watched. Without it the lifetime tells of a change.
    fn changes(&self, _secret: &str) -> Changes {
        Box::pin(tokio_stream::empty())
    }

    /// The current versions of several secrets, in the order of the ids; in as few calls as the store allows.
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

/// What [`SecretProvider::changes`] gives.
pub type Changes = Pin<Box<dyn Stream<Item = ()> + Send>>;

/// One provider can serve many secrets.
impl<P: SecretProvider> SecretProvider for Arc<P> {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        P::fetch(self, secret, stage).await
    }

    async fn fetch_anew(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        P::fetch_anew(self, secret, stage).await
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
    /// The version that is in force.
    Current,
    /// The version that a rotation under way will put in force.
    Pending,
    /// The version that was in force before the current one.
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
    /// What tells this version from every other one of the secret.
    pub id: String,
    /// What is secret.
    pub value: Value,
    /// The secret's ARN, where it has one: the channel on which a change is told is derived from it.
    pub arn: Option<String>,
    /// The secret's name, where the store says it.
    pub name: Option<String>,
    /// The staging labels of this version, where the store says them.
    pub stages: Vec<String>,
    /// How much longer the store lets it live, where it is a lease.
    pub lease: Option<Duration>,
    /// When it was made, by the store's clock. A store that lags is found out by it.
    pub created: Option<SystemTime>,
    /// The version before it, where that is wanted: asked for by itself, and not by the provider.
    pub(crate) previous: Previous,
    /// Whether the password is a token, which a server asks for in clear.
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

    /// With the secret's ARN.
    #[must_use]
    pub fn with_arn(self, arn: impl Into<String>) -> Self {
        let arn = Some(arn.into());
        Self { arn, ..self }
    }

    /// With how much longer the store lets it live.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        let lease = Some(lease);
        Self { lease, ..self }
    }

    /// The password is a token that was made for this login and ends soon, with its lease: the way of cloud providers to log in with an
    /// identity in place of a password.
    ///
    /// It is sent to a server that asks for it in clear, which no other password is, and over TLS alone. A new token under the
    /// same id is no new version: what logs in later uses it, and the connections that there are stay.
    #[must_use]
    pub fn as_auth_token(self) -> Self {
        Self {
            auth_token: true,
            ..self
        }
    }

    /// With when it was made, by the store's clock.
    #[must_use]
    pub fn with_created(self, created: SystemTime) -> Self {
        let created = Some(created);
        Self { created, ..self }
    }
}

/// What is known of the version before one.
#[derive(Clone, Debug)]
pub(crate) enum Previous {
    /// The store says that there is none, or nobody asked.
    None,
    Read(Box<Version>),
    /// There may be one.
    Unread(ProviderError),
}

/// The secret itself. Debug shows which kind, and no more.
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
}

/// What kind of failure it was, which decides what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// The store wants fewer requests. Asked again after a while.
    Throttled,
    /// No answer: the network, a time limit, a 5xx. Asked again after a while.
    Unavailable,
    /// The store says that this caller may not read it. Not asked again before the lifetime is over.
    AccessDenied,
    /// The store says that there is no such secret, or no such version. Not asked again before the lifetime is over.
    NotFound,
    /// The answer is not one to be understood, or the request was not. Not asked again before the lifetime is over.
    Invalid,
}

impl ProviderErrorKind {
    /// Whether the same question may soon be answered.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }

    /// The word for metrics and logs.
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
        }
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ProviderErrorKind {
        self.kind
    }
}

/// A name for a version of a store that names none: the same for the same value, within this process.
///
/// Its key is random, so that it tells nobody what the value is.
#[cfg(any(feature = "env", feature = "file"))]
pub(crate) fn fingerprint(value: &str) -> String {
    static KEY: std::sync::OnceLock<std::hash::RandomState> = std::sync::OnceLock::new();
    let key = KEY.get_or_init(std::hash::RandomState::new);
    format!("{:016x}", std::hash::BuildHasher::hash_one(key, value))
}
