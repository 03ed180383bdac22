//! Fixed values: for tests, and for secrets that something else delivers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{ProviderError, ProviderErrorKind, SecretProvider, Stage, Version};

/// Secrets held in memory. Clones share them, so a test can change them later, and make them fail.
///
/// ```
/// # use rotating_secret::{BuildError, RotatingSecret};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BuildError> {
/// use rotating_secret::provider::{Fixed, ProviderErrorKind, Version};
///
/// let provider = Fixed::new().with("orders/db", Version::text("1", r#"{"username":"orders","password":"…"}"#));
/// let secret = RotatingSecret::builder("orders/db").build(provider.clone()).await?;
/// // a rotation happens
/// provider.set("orders/db", Version::text("2", r#"{"username":"orders","password":"…"}"#));
/// // the store is unreachable, and then it is not
/// provider.fail(ProviderErrorKind::Unavailable);
/// assert!(secret.refresh().await.is_err());
/// provider.recover();
/// # // waits until the failure has passed
/// # while secret.refresh().await.is_err() { tokio::time::sleep(std::time::Duration::from_millis(20)).await }
/// assert_eq!(secret.refresh().await?.version(), "2");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    /// By secret and staging label.
    versions: HashMap<(String, &'static str), Version>,
    failing: Option<ProviderErrorKind>,
}

impl Fixed {
    /// No secrets yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this as the secret's current version.
    #[must_use]
    pub fn with(self, secret: &str, version: Version) -> Self {
        self.set(secret, version);
        self
    }

    /// Makes this the secret's current version. The one before it is then the previous one, as in Secrets Manager.
    pub fn set(&self, secret: &str, version: Version) {
        let mut held = self.held();
        let key = |stage: Stage| (secret.to_owned(), stage.label());
        let id = version.id.clone();
        let before = held.versions.insert(key(Stage::Current), version);
        if let Some(before) = before.filter(|before| before.id != id) {
            held.versions.insert(key(Stage::Previous), before);
        }
    }

    /// Makes this the secret's pending version, or removes it.
    pub fn set_pending(&self, secret: &str, version: Option<Version>) {
        self.put(secret, Stage::Pending, version);
    }

    /// Makes this the secret's previous version, or removes it.
    pub fn set_previous(&self, secret: &str, version: Option<Version>) {
        self.put(secret, Stage::Previous, version);
    }

    /// From now on every question fails in this way, until [`recover`](Self::recover).
    pub fn fail(&self, kind: ProviderErrorKind) {
        self.held().failing = Some(kind);
    }

    /// Answers questions again.
    pub fn recover(&self) {
        self.held().failing = None;
    }

    fn put(&self, secret: &str, stage: Stage, version: Option<Version>) {
        let key = (secret.to_owned(), stage.label());
        let versions = &mut self.held().versions;
        match version {
            Some(version) => versions.insert(key, version),
            None => versions.remove(&key),
        };
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretProvider for Fixed {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let held = self.held();
        if let Some(kind) = held.failing {
            return Err(ProviderError::new(
                kind,
                "Fixed::fail makes it fail: call Fixed::recover",
            ));
        }
        let version = held.versions.get(&(secret.to_owned(), stage.label()));
        version.cloned().ok_or_else(|| {
            let message = format!("no version of {secret} was given for {}", stage.label());
            ProviderError::new(ProviderErrorKind::NotFound, message)
        })
    }
}
