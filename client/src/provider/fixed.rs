//! What it was given: for tests, and for secrets that something else delivers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{ProviderError, ProviderErrorKind, SecretProvider, Stage, Version};

/// Secrets held in memory. Clones share them, so a test can go on changing them.
///
/// ```
/// use rotating_secret::provider::{Fixed, Version};
///
/// let provider = Fixed::new().with("orders/db", Version::text("1", r#"{"username":"orders","password":"…"}"#));
/// // a rotation happens
/// provider.set("orders/db", Version::text("2", r#"{"username":"orders","password":"…"}"#));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    secrets: Arc<Mutex<HashMap<(String, &'static str), Version>>>,
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

    /// Makes this the secret's current version.
    pub fn set(&self, secret: &str, version: Version) {
        self.put(secret, Stage::Current, Some(version));
    }

    /// Makes this the secret's pending version, or takes that away.
    pub fn set_pending(&self, secret: &str, version: Option<Version>) {
        self.put(secret, Stage::Pending, version);
    }

    fn put(&self, secret: &str, stage: Stage, version: Option<Version>) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (secret.to_owned(), stage.label());
        match version {
            Some(version) => secrets.insert(key, version),
            None => secrets.remove(&key),
        };
    }
}

impl SecretProvider for Fixed {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let version = secrets.get(&(secret.to_owned(), stage.label())).cloned();
        version.ok_or_else(|| {
            let message = format!("no version of {secret} was given for {}", stage.label());
            ProviderError::new(ProviderErrorKind::NotFound, message)
        })
    }
}
