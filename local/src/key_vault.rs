//! Azure Key Vault for an application that only reads secrets: its real wire format ("Get Secret" and "Authentication, requests
//! and responses" in Microsoft's reference), its challenge and its TLS.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    response::Response,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub use crate::stub::Fault;
use crate::stub::{self, Certificate, Script};

/// A running Key Vault. Clones share it.
#[derive(Clone)]
pub struct KeyVault {
    state: Arc<Mutex<Store>>,
    script: Script,
    address: SocketAddr,
    ca: String,
}

struct Store {
    host: String,
    token: String,
    secrets: BTreeMap<String, Vec<Secret>>,
}

struct Secret {
    version: String,
    value: String,
    enabled: bool,
    expires: Option<u64>,
}

impl KeyVault {
    /// Starts a vault with this name that accepts this token. Its host is `{name}.vault.azure.net`: clients require that a vault is below
    /// the domain of its tokens.
    pub async fn start(name: &str, token: &str) -> io::Result<Self> {
        let host = format!("{name}.vault.azure.net");
        let certificate = Certificate::new(&[&host])?;
        let state = Arc::new(Mutex::new(Store {
            host,
            token: token.to_owned(),
            secrets: BTreeMap::new(),
        }));
        let script = Script::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let address = stub::serve(router, &script, Some(&certificate)).await?;
        let ca = certificate.pem();
        Ok(Self {
            state,
            script,
            address,
            ca,
        })
    }

    /// The host that clients must resolve to [`address`](Self::address).
    pub fn host(&self) -> String {
        self.lock().host.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate to trust, as PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Sets a secret, and returns the new version's name.
    pub fn set(&self, name: &str, value: &str) -> String {
        let version = Uuid::new_v4().simple().to_string();
        let mut store = self.lock();
        let versions = store.secrets.entry(name.to_owned()).or_default();
        versions.push(Secret {
            version: version.clone(),
            value: value.to_owned(),
            enabled: true,
            expires: None,
        });
        version
    }

    /// Disables the latest version of a secret.
    pub fn disable(&self, name: &str) {
        self.latest(name, |secret| secret.enabled = false);
    }

    /// Sets when the latest version of a secret expires, in seconds since 1970.
    pub fn expire(&self, name: &str, time: u64) {
        self.latest(name, |secret| secret.expires = Some(time));
    }

    /// Deletes a secret with all its versions.
    pub fn delete(&self, name: &str) {
        self.lock().secrets.remove(name);
    }

    /// Gives the next request without a fault this one.
    pub fn fail(&self, fault: Fault) {
        self.script.fail(fault);
    }

    /// Method and path of every request, in order.
    pub fn requests(&self) -> Vec<String> {
        self.script.requests()
    }

    fn latest(&self, name: &str, change: impl FnOnce(&mut Secret)) {
        let mut store = self.lock();
        if let Some(secret) = store
            .secrets
            .get_mut(name)
            .and_then(|versions| versions.last_mut())
        {
            change(secret);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Store>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let store = state.lock().unwrap_or_else(PoisonError::into_inner);
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let segments: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    match authorization.map(|value| value.strip_prefix("Bearer ")) {
        None => challenge("AKV10000: Request is missing a Bearer or PoP token."),
        Some(token) if token != Some(&store.token) => challenge("AKV10032: Invalid issuer."),
        _ if !uri
            .query()
            .is_some_and(|query| query.contains("api-version=")) =>
        {
            refuse(400, "BadParameter", None, "api-version must be specified")
        }
        _ => match (method.as_str(), segments.as_slice()) {
            ("GET", ["secrets", name]) => store.get(name, None),
            ("GET", ["secrets", name, version]) => store.get(name, Some(version)),
            _ => refuse(404, "NotFound", None, "Resource not found"),
        },
    }
}

impl Store {
    fn get(&self, name: &str, version: Option<&str>) -> Response {
        let versions = self
            .secrets
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let wanted = |secret: &&Secret| version.is_none_or(|version| secret.version == version);
        let Some(secret) = versions.iter().rev().find(wanted) else {
            let message =
                format!("A secret with (name/id) {name} was not found in this key vault.");
            return refuse(404, "SecretNotFound", None, &message);
        };
        if !secret.enabled {
            let message = "Operation get is not allowed on a disabled secret.";
            return refuse(403, "Forbidden", Some("SecretDisabled"), message);
        }
        let mut attributes = json!({
            "enabled": true,
            "created": 1_767_225_600,
            "updated": 1_767_225_600,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": 90,
        });
        if let Some(expires) = secret.expires {
            attributes["exp"] = expires.into();
        }
        let id = format!("https://{}/secrets/{name}/{}", self.host, secret.version);
        stub::json(
            200,
            &json!({ "value": secret.value, "id": id, "attributes": attributes }),
        )
    }
}

fn challenge(message: &str) -> Response {
    let mut response = refuse(401, "Unauthorized", None, message);
    let challenge = HeaderValue::from_static(
        r#"Bearer authorization="https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000", resource="https://vault.azure.net""#,
    );
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn refuse(status: u16, code: &str, inner: Option<&str>, message: &str) -> Response {
    let mut error = json!({ "code": code, "message": message });
    if let Some(inner) = inner {
        error["innererror"] = json!({ "code": inner });
    }
    stub::json(status, &json!({ "error": error as Value }))
}
