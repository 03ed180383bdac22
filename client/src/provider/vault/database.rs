//! The database engine: credentials that Vault makes under a lease, and static roles whose passwords it rotates.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value as Json};

use super::{
    super::{ProviderError, SecretProvider, Stage, Version},
    Kind, Vault,
    wire::{Answer, Failure, Request, no_stages},
};

/// Credentials made for the roles of one mount of the database engine.
///
/// A secret's id is the name of a role. Its value is the base document with `username` and `password`, as JSON text; the
/// version's id is the lease's. The token needs `read` on `{mount}/creds/{role}`, and `update` on `sys/leases/renew`, which
/// Vault's default policy grants.
///
/// The first [`fetch`](SecretProvider::fetch) of a role makes credentials, and each later one renews their lease: the same
/// version, with more time. New credentials are made when Vault refuses to renew, or grants less than a third of the first
/// duration because the lease nears its `max_ttl`. The lease before is not revoked, because connections may depend on it; Vault
/// ends it. Clones share the leases, and a role has one fetch at a time.
///
/// See Vault's reference, "Database secrets engine (API)" and "/sys/leases".
#[derive(Clone)]
pub struct Database {
    engine: Engine,
    leases: Arc<Mutex<HashMap<String, Held>>>,
}

/// The lease of one role, locked by a fetch.
type Held = Arc<tokio::sync::Mutex<Option<Lease>>>;

struct Lease {
    id: String,
    /// The duration that renewals are compared with.
    first: Duration,
    renewable: bool,
    document: SecretString,
}

/// Credentials of the static roles of one mount of the database engine.
///
/// A secret's id is the name of a static role. Its value is the base document with `username` and `password`, as JSON text;
/// the version's id is the time of the last rotation, and what remains until the next one is the lease. There is nothing to
/// renew. The token needs `read` on `{mount}/static-creds/{role}`.
///
/// See Vault's reference, "Database secrets engine (API)".
#[derive(Clone)]
pub struct StaticRoles {
    engine: Engine,
}

#[derive(Clone)]
struct Engine {
    vault: Vault,
    mount: String,
    base: Arc<Map<String, Json>>,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: SecretString,
}

#[derive(Deserialize)]
struct StaticCredentials {
    username: String,
    password: SecretString,
    last_vault_rotation: String,
    /// Seconds, which Go writes as a float.
    ttl: f64,
}

impl Engine {
    fn new(vault: Vault, mount: &str, mut base: Map<String, Json>) -> Self {
        base.retain(|key, _| key != "username" && key != "password");
        Self {
            vault,
            mount: mount.trim_matches('/').to_owned(),
            base: Arc::new(base),
        }
    }

    fn document(
        &self,
        what: &str,
        username: &str,
        password: &SecretString,
    ) -> Result<SecretString, ProviderError> {
        #[derive(Serialize)]
        struct Document<'a> {
            #[serde(flatten)]
            base: &'a Map<String, Json>,
            username: &'a str,
            password: &'a str,
        }
        let document = serde_json::to_string(&Document {
            base: &self.base,
            username,
            password: password.expose_secret(),
        });
        let document = document.map_err(|_| self.vault.explain(what, &Failure::Garbled))?;
        Ok(document.into())
    }

    /// A role that does not exist is a bad request to this engine, which says so in its reason.
    fn explain(&self, what: &str, failure: &Failure) -> ProviderError {
        let unknown = |reasons: Vec<String>| {
            let names_role = |reason: &String| reason.contains("unknown role");
            reasons.iter().any(names_role)
        };
        match failure {
            Failure::Status { code: 400, .. } if failure.reasons().is_some_and(unknown) => {
                let message = format!(
                    "the engine has no role for {what}: check the name, or create the role"
                );
                ProviderError::new(Kind::NotFound, message)
            }
            _ => self.vault.explain(what, failure),
        }
    }
}

impl Database {
    pub(super) fn new(vault: Vault, mount: &str, base: Map<String, Json>) -> Self {
        Self {
            engine: Engine::new(vault, mount, base),
            leases: Arc::default(),
        }
    }

    fn held(&self, role: &str) -> Held {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(leases.entry(role.to_owned()).or_default())
    }

    /// The lease's remaining time; `None` if Vault refuses, or grants too little.
    async fn renew(&self, lease: &mut Lease) -> Result<Option<Duration>, ProviderError> {
        let vault = &self.engine.vault;
        let answer: Result<Answer<IgnoredAny>, _> = vault.ask(Request::renew(&lease.id)).await;
        match answer {
            Ok(answer) => {
                lease.renewable = answer.renewable;
                let renewed = Duration::from_secs(answer.lease_duration);
                Ok((renewed.saturating_mul(3) >= lease.first).then_some(renewed))
            }
            Err(failure) => match &failure {
                Failure::Status { code, .. }
                    if (400..500).contains(code) && *code != 429 && failure.reasons().is_some() =>
                {
                    tracing::debug!(lease = lease.id, code, "the lease is not renewed");
                    Ok(None)
                }
                _ => Err(vault.explain(&format!("the renewal of {}", lease.id), &failure)),
            },
        }
    }

    async fn create(&self, what: &str) -> Result<Lease, ProviderError> {
        let vault = &self.engine.vault;
        let answer: Result<Answer<Credentials>, _> =
            vault.ask(Request::read(what.to_owned())).await;
        let answer = answer.map_err(|failure| self.engine.explain(what, &failure))?;
        let credentials = answer.data.filter(|_| !answer.lease_id.is_empty());
        let Credentials { username, password } =
            credentials.ok_or_else(|| vault.explain(what, &Failure::Garbled))?;
        Ok(Lease {
            id: answer.lease_id,
            first: Duration::from_secs(answer.lease_duration),
            renewable: answer.renewable,
            document: self.engine.document(what, &username, &password)?,
        })
    }
}

impl Lease {
    fn version(&self, remaining: Duration) -> Version {
        Version::text(&self.id, self.document.clone()).with_lease(remaining)
    }
}

impl SecretProvider for Database {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let what = format!("{}/creds/{secret}", self.engine.mount);
        if stage != Stage::Current {
            return Err(no_stages(&what));
        }
        let held = self.held(secret);
        let mut held = held.lock().await;
        if let Some(lease) = held.as_mut().filter(|lease| lease.renewable)
            && let Some(remaining) = self.renew(lease).await?
        {
            return Ok(lease.version(remaining));
        }
        let lease = self.create(&what).await?;
        let version = lease.version(lease.first);
        *held = Some(lease);
        Ok(version)
    }
}

impl StaticRoles {
    pub(super) fn new(vault: Vault, mount: &str, base: Map<String, Json>) -> Self {
        let engine = Engine::new(vault, mount, base);
        Self { engine }
    }
}

impl SecretProvider for StaticRoles {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let Engine { vault, mount, .. } = &self.engine;
        let what = format!("{mount}/static-creds/{secret}");
        if stage != Stage::Current {
            return Err(no_stages(&what));
        }
        let answer: Result<Answer<StaticCredentials>, _> =
            vault.ask(Request::read(what.clone())).await;
        let answer = answer.map_err(|failure| self.engine.explain(&what, &failure))?;
        let garbled = || vault.explain(&what, &Failure::Garbled);
        let role = answer.data.ok_or_else(garbled)?;
        // an overdue rotation leaves no time
        let remaining = Duration::try_from_secs_f64(role.ttl.max(0.0)).map_err(|_| garbled())?;
        let document = self
            .engine
            .document(&what, &role.username, &role.password)?;
        Ok(Version::text(role.last_vault_rotation, document).with_lease(remaining))
    }
}

/// Shows whose roles they are, but neither the document nor the leases.
impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.vault, self.mount)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.engine).finish()
    }
}

impl fmt::Debug for StaticRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StaticRoles").field(&self.engine).finish()
    }
}
