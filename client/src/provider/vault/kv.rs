//! The key-value engine, version 2.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{
    super::{ProviderError, SecretProvider, Stage, Version},
    Kind, Vault,
    wire::{Answer, Failure, Request, no_stages},
};

/// Secrets of one mount of the key-value engine, version 2.
///
/// A secret's id is its path below the mount. Its value is the object at that path, as JSON text; the version's id is the
/// version's number. The token needs `read` on `{mount}/data/{path}`. A version that was deleted or destroyed is
/// [`NotFound`](Kind::NotFound), even if earlier ones remain: what is current is the latest.
///
/// See Vault's reference, "KV secrets engine - version 2 (API)".
#[derive(Clone, Debug)]
pub struct Kv {
    vault: Vault,
    mount: String,
}

#[derive(Deserialize)]
struct Secret {
    data: Option<Map<String, Json>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

impl Kv {
    pub(super) fn new(vault: Vault, mount: &str) -> Self {
        let mount = mount.trim_matches('/').to_owned();
        Self { vault, mount }
    }

    /// Why Vault answers 404, which has four causes.
    fn absent(&self, what: &str, failure: &Failure) -> ProviderError {
        let Failure::Status { code: 404, body } = failure else {
            return self.vault.explain(what, failure);
        };
        let answer: Option<Answer<Secret>> = serde_json::from_str(body).ok();
        if let Some(secret) = answer.and_then(|answer| answer.data) {
            return gone(what, &secret.metadata);
        }
        match failure.reasons().as_deref() {
            Some([]) => ProviderError::new(
                Kind::NotFound,
                format!(
                    "nothing was ever written to {what}, or its metadata was deleted: check the path"
                ),
            ),
            _ => self.vault.explain(what, failure),
        }
    }
}

/// The message for a version whose data is no longer there.
fn gone(what: &str, metadata: &Metadata) -> ProviderError {
    let Metadata {
        version,
        deletion_time,
        destroyed,
    } = metadata;
    let message = if *destroyed {
        format!("version {version} of {what} was destroyed: write a new one")
    } else {
        format!(
            "version {version} of {what} was deleted at {deletion_time}: undelete it, or write a new one"
        )
    };
    ProviderError::new(Kind::NotFound, message)
}

impl SecretProvider for Kv {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let what = format!("{}/data/{secret}", self.mount);
        if stage != Stage::Current {
            return Err(no_stages(&what));
        }
        let answer = self.vault.ask::<Secret>(Request::read(what.clone())).await;
        let answer = answer.map_err(|failure| self.absent(&what, &failure))?;
        let garbled = || self.vault.explain(&what, &Failure::Garbled);
        let secret = answer.data.ok_or_else(garbled)?;
        let data = secret.data.ok_or_else(|| gone(&what, &secret.metadata))?;
        let text = serde_json::to_string(&data).map_err(|_| garbled())?;
        Ok(Version::text(
            secret.metadata.version.to_string(),
            SecretString::from(text),
        ))
    }
}
