//! HashiCorp Vault.
//!
//! vaultrs provides the settings and the token. Its own calls are not used: they drop the lease of what they read, and keep the
//! body of an unreadable answer in the error.

mod database;
mod kv;
mod wire;

use std::{env, fmt, fs, sync::Arc};

use reqwest::{Url, header::HeaderValue, redirect};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::zeroize::Zeroize;
use serde_json::{Map, Value as Json};
use vaultrs::{
    api::EndpointMiddleware,
    client::{VaultClient, VaultClientSettings},
};

pub use database::{Database, StaticRoles};
pub use kv::Kv;

use super::{ProviderError, ProviderErrorKind as Kind, https};

/// A HashiCorp Vault, or another server with its API.
///
/// It is no provider itself: [`kv`](Self::kv), [`database`](Self::database) and [`static_roles`](Self::static_roles) are, each
/// for one secrets engine. Clones share the connections. Nothing here renews the token: let Vault Agent do it, or renew it
/// through [`client`](Self::client).
///
/// ```no_run
/// # use rotating_secret::provider::{ProviderError, SecretProvider, Stage, Vault};
/// # async fn example() -> Result<(), ProviderError> {
/// let vault = Vault::from_env()?;
/// let version = vault.kv("secret").fetch("orders/db", Stage::Current).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Vault {
    client: Arc<VaultClient>,
    /// For messages; without the user and the password that an address may have.
    address: String,
}

/// Shows where it is, and nothing of the token.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vault").field(&self.address).finish()
    }
}

impl Vault {
    /// Address, token, namespace and root certificates come from the environment, as in Vault's own tools: `VAULT_ADDR`
    /// (`https://127.0.0.1:8200` without it), `VAULT_TOKEN`, `VAULT_NAMESPACE`, and `VAULT_CACERT`, whose certificates are then
    /// the only trusted ones.
    ///
    /// Without `VAULT_TOKEN` no token is sent, as Vault Agent and Vault Proxy require; the file `~/.vault-token` is not read.
    /// `VAULT_SKIP_VERIFY` is ignored.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Kind::Invalid): one of the variables is not usable.
    pub fn from_env() -> Result<Self, ProviderError> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let address = variable("VAULT_ADDR");
        let address = address.as_deref().unwrap_or("https://127.0.0.1:8200");
        // a text that is no address may be a token in the wrong place
        let address = Url::parse(address).ok().filter(|address| {
            matches!(address.scheme(), "http" | "https") && address.path() == "/"
        });
        let address = address.ok_or_else(|| {
            invalid("VAULT_ADDR is no http or https address without a path: correct it")
        })?;

        let encrypted = address.scheme() == "https";
        let roots = match variable("VAULT_CACERT") {
            // a machine without root certificates can have an agent
            _ if !encrypted => Some(RootCertStore::empty()),
            Some(path) => Some(read_roots(&path)?),
            None => None,
        };
        // a standby sends its client to the active node, once
        let redirects = redirect::Policy::limited(1);
        let http = https::client(roots, redirects, encrypted).map_err(invalid)?;

        let namespace = variable("VAULT_NAMESPACE");
        Self::from_client(VaultClient {
            http: rustify::clients::reqwest::Client::new(address.as_str(), http),
            middle: EndpointMiddleware {
                token: variable("VAULT_TOKEN").unwrap_or_default(),
                version: "v1".to_owned(),
                wrap: None,
                namespace: namespace.clone(),
            },
            settings: VaultClientSettings {
                address,
                ca_certs: Vec::new(),
                identity: None,
                timeout: None,
                token: String::new(),
                verify: true,
                version: 1,
                wrapping: false,
                namespace,
                proxy: None,
            },
        })
    }

    /// With the caller's client, including its token, time limits and TLS.
    ///
    /// The token is kept where requests are made, and wiped from the settings. `VaultClient::new` uses the process's default
    /// crypto provider, and panics without one: see rustls' `CryptoProvider::install_default`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](Kind::Invalid): the token or the namespace cannot be sent in a header, for example because of a line break
    /// at its end.
    pub fn from_client(mut client: VaultClient) -> Result<Self, ProviderError> {
        client.settings.token.zeroize();
        // vaultrs would panic at the first request
        for (name, value) in [
            ("token", Some(&client.middle.token)),
            ("namespace", client.middle.namespace.as_ref()),
        ] {
            if value.is_some_and(|value| HeaderValue::from_str(value).is_err()) {
                return Err(invalid(format!(
                    "Vault's {name} has a character that no header takes: look for a line break at its end"
                )));
            }
        }
        Ok(Self {
            address: client.settings.address.origin().ascii_serialization(),
            client: Arc::new(client),
        })
    }

    /// The underlying client, for example to look up or renew its token.
    pub fn client(&self) -> &VaultClient {
        &self.client
    }

    /// Secrets of the key-value engine, version 2, that is mounted here.
    pub fn kv(&self, mount: &str) -> Kv {
        Kv::new(self.clone(), mount)
    }

    /// Credentials that the database engine mounted here makes for its roles, each under a lease.
    ///
    /// The base holds the document's other fields, besides `username` and `password`: `engine`, `host`, `port`, `dbname`.
    pub fn database(&self, mount: &str, base: Map<String, Json>) -> Database {
        Database::new(self.clone(), mount, base)
    }

    /// Credentials of the static roles of the database engine mounted here, whose passwords Vault rotates.
    ///
    /// The base holds the document's other fields, besides `username` and `password`: `engine`, `host`, `port`, `dbname`.
    pub fn static_roles(&self, mount: &str, base: Map<String, Json>) -> StaticRoles {
        StaticRoles::new(self.clone(), mount, base)
    }
}

fn read_roots(path: &str) -> Result<RootCertStore, ProviderError> {
    let unusable = |reason: String| {
        invalid(format!(
            "VAULT_CACERT, {path}, {reason}: correct it or unset it"
        ))
    };
    let pem = fs::read(path).map_err(|error| unusable(format!("cannot be read ({error})")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(format!("is not PEM ({error})")))?;
        let added = roots.add(certificate);
        added.map_err(|error| unusable(format!("holds no root ({error})")))?;
    }
    if roots.is_empty() {
        return Err(unusable("holds no certificate".to_owned()));
    }
    Ok(roots)
}

fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(Kind::Invalid, message)
}
