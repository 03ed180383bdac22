//! HashiCorp Vault for an application that only reads: the key-value engine, version 2, and the database engine with its leases,
//! in their real wire format ("HTTP API" in Vault's reference).
//!
//! ```
//! use local::vault::{Fault, Role, Vault};
//! use serde_json::json;
//! use std::time::Duration;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let vault = Vault::start("a token").await?;
//! vault.write("secret", "orders/db", json!({ "username": "orders", "password": "…" }));
//! vault.set_role("database", "orders", Role { ttl: Duration::from_secs(3600), max_ttl: Duration::from_secs(86400), renewable: true });
//! vault.fail(Fault::Answer(503, r#"{"errors":["Vault is sealed"]}"#.to_owned()));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

pub use crate::stub::Fault;
use crate::stub::{self, Certificate, Script};

/// A running Vault. Clones share it.
#[derive(Clone)]
pub struct Vault {
    state: Arc<Mutex<Store>>,
    script: Script,
    address: SocketAddr,
    ca: Option<String>,
}

/// A role of the database engine.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// The lifetime of a lease, and the time that a renewal adds.
    pub ttl: Duration,
    /// The longest lifetime of a lease with all its renewals.
    pub max_ttl: Duration,
    /// Whether its leases can be renewed.
    pub renewable: bool,
}

/// A static role of the database engine.
#[derive(Clone)]
pub struct StaticRole {
    /// The user in the database.
    pub username: String,
    /// Its current password.
    pub password: String,
    /// The time of its last rotation, in RFC 3339.
    pub last_vault_rotation: String,
    /// Seconds until its next rotation.
    pub ttl: f64,
}

#[derive(Default)]
struct Store {
    token: String,
    namespace: Option<String>,
    /// The versions of each secret, by mount and path.
    secrets: BTreeMap<(String, String), Vec<Secret>>,
    roles: BTreeMap<(String, String), Role>,
    static_roles: BTreeMap<(String, String), StaticRole>,
    /// By lease id.
    leases: BTreeMap<String, Lease>,
    /// How far the clock is ahead of tokio's.
    ahead: Duration,
}

struct Secret {
    data: Option<Value>,
    deleted: Option<String>,
    destroyed: bool,
}

struct Lease {
    role: Role,
    begun: Instant,
    ends: Instant,
}

impl Vault {
    /// Starts a Vault without TLS that accepts this token.
    pub async fn start(token: &str) -> io::Result<Self> {
        Self::serve(token, None).await
    }

    /// Starts a Vault with TLS and a self-signed certificate.
    pub async fn start_tls(token: &str) -> io::Result<Self> {
        Self::serve(token, Some(Certificate::new(&["127.0.0.1"])?)).await
    }

    async fn serve(token: &str, certificate: Option<Certificate>) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(Store {
            token: token.to_owned(),
            ..Store::default()
        }));
        let script = Script::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let address = stub::serve(router, &script, certificate.as_ref()).await?;
        let ca = certificate.map(|certificate| certificate.pem());
        Ok(Self {
            state,
            script,
            address,
            ca,
        })
    }

    /// Its address, for `VAULT_ADDR`.
    pub fn address(&self) -> String {
        let scheme = self.ca.as_ref().map_or("http", |_| "https");
        format!("{scheme}://{}", self.address)
    }

    /// The text for the file in `VAULT_CACERT`. None without TLS.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Puts all its content into this namespace.
    pub fn set_namespace(&self, namespace: &str) {
        self.lock().namespace = Some(namespace.to_owned());
    }

    /// Writes a new version of a secret.
    pub fn write(&self, mount: &str, path: &str, data: Value) {
        let key = (mount.to_owned(), path.to_owned());
        self.lock().secrets.entry(key).or_default().push(Secret {
            data: Some(data),
            deleted: None,
            destroyed: false,
        });
    }

    /// Deletes the latest version of a secret, as `vault kv delete` does.
    pub fn delete(&self, mount: &str, path: &str, time: &str) {
        self.latest(mount, path, |secret| secret.deleted = Some(time.to_owned()));
    }

    /// Destroys the latest version of a secret.
    pub fn destroy(&self, mount: &str, path: &str) {
        self.latest(mount, path, |secret| {
            secret.data = None;
            secret.destroyed = true;
        });
    }

    /// Creates or changes a role. Existing leases do not change.
    pub fn set_role(&self, mount: &str, name: &str, role: Role) {
        let key = (mount.to_owned(), name.to_owned());
        self.lock().roles.insert(key, role);
    }

    /// Creates or changes a static role.
    pub fn set_static_role(&self, mount: &str, name: &str, role: StaticRole) {
        let key = (mount.to_owned(), name.to_owned());
        self.lock().static_roles.insert(key, role);
    }

    /// Moves the clock of the leases.
    pub fn advance(&self, time: Duration) {
        self.lock().ahead += time;
    }

    /// The leases that have not ended, by id.
    pub fn leases(&self) -> Vec<String> {
        let store = self.lock();
        let lives = |lease: &Lease| lease.ends > store.now();
        let leases = store.leases.iter().filter(|(_, lease)| lives(lease));
        leases.map(|(id, _)| id.clone()).collect()
    }

    /// Gives the next request without a fault this one.
    pub fn fail(&self, fault: Fault) {
        self.script.fail(fault);
    }

    /// Method and path of every request, in order.
    pub fn requests(&self) -> Vec<String> {
        self.script.requests()
    }

    /// Waits until it has received this many requests.
    pub async fn asked(&self, times: usize) {
        self.script.asked(times).await;
    }

    fn latest(&self, mount: &str, path: &str, change: impl FnOnce(&mut Secret)) {
        let key = (mount.to_owned(), path.to_owned());
        let mut store = self.lock();
        if let Some(secret) = store
            .secrets
            .get_mut(&key)
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
    body: Bytes,
) -> Response {
    let mut store = state.lock().unwrap_or_else(PoisonError::into_inner);
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let path = uri.path().trim_start_matches('/');
    if header("x-vault-token") != Some(&store.token) {
        return errors(403, &["permission denied"]);
    }
    let no_route = || {
        let path = path.trim_start_matches("v1/");
        errors(
            404,
            &[&format!(
                "no handler for route {path:?}. route entry not found."
            )],
        )
    };
    if header("x-vault-namespace") != store.namespace.as_deref() {
        return no_route();
    }
    let segments: Vec<&str> = path.split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("PUT" | "POST", ["v1", "sys", "leases", "renew"]) => store.renew(&body),
        ("GET", ["v1", mount, "data", path @ ..]) if store.has(mount) => {
            store.read(mount, &path.join("/"))
        }
        ("GET", ["v1", mount, "creds", role]) => store.create(mount, role),
        ("GET", ["v1", mount, "static-creds", role]) => store.read_static(mount, role),
        _ => no_route(),
    }
}

impl Store {
    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    fn has(&self, mount: &str) -> bool {
        self.secrets.keys().any(|(mounted, _)| mounted == mount)
    }

    fn read(&self, mount: &str, path: &str) -> Response {
        let key = (mount.to_owned(), path.to_owned());
        let versions = self
            .secrets
            .get(&key)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let Some(secret) = versions.last() else {
            return errors(404, &[]);
        };
        let gone = secret.destroyed || secret.deleted.is_some();
        let data = json!({
            "data": secret.data.as_ref().filter(|_| !gone),
            "metadata": {
                "created_time": "2026-01-01T00:00:00.000000000Z",
                "custom_metadata": null,
                "deletion_time": secret.deleted.as_deref().unwrap_or_default(),
                "destroyed": secret.destroyed,
                "version": versions.len(),
            },
        });
        let status = if gone { 404 } else { 200 };
        envelope(status, "", Duration::ZERO, false, data)
    }

    fn create(&mut self, mount: &str, name: &str) -> Response {
        let key = (mount.to_owned(), name.to_owned());
        let Some(&role) = self.roles.get(&key) else {
            return errors(400, &[&format!("unknown role: {name}")]);
        };
        let user = Uuid::new_v4().simple().to_string();
        let id = format!("{mount}/creds/{name}/{user}");
        let (begun, ttl) = (self.now(), role.ttl.min(role.max_ttl));
        let ends = begun + ttl;
        self.leases.insert(id.clone(), Lease { role, begun, ends });
        let data = json!({ "username": format!("v-{name}-{user}"), "password": format!("password-of-{user}") });
        envelope(200, &id, ttl, role.renewable, data)
    }

    fn renew(&mut self, body: &[u8]) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = body["lease_id"].as_str().unwrap_or_default();
        let now = self.now();
        match self.leases.get_mut(id) {
            None => errors(400, &["lease not found"]),
            Some(lease) if lease.ends <= now => errors(400, &["lease expired"]),
            Some(lease) if !lease.role.renewable => errors(400, &["lease is not renewable"]),
            Some(lease) => {
                lease.ends = (now + lease.role.ttl).min(lease.begun + lease.role.max_ttl);
                envelope(200, id, lease.ends - now, true, Value::Null)
            }
        }
    }

    fn read_static(&self, mount: &str, name: &str) -> Response {
        let key = (mount.to_owned(), name.to_owned());
        let Some(role) = self.static_roles.get(&key) else {
            return errors(400, &[&format!("unknown role: {name}")]);
        };
        let data = json!({
            "username": role.username,
            "password": role.password,
            "last_vault_rotation": role.last_vault_rotation,
            "rotation_period": 86400,
            "ttl": role.ttl,
        });
        envelope(200, "", Duration::ZERO, false, data)
    }
}

fn envelope(status: u16, lease: &str, left: Duration, renewable: bool, data: Value) -> Response {
    let body = json!({
        "request_id": Uuid::new_v4().to_string(),
        "lease_id": lease,
        "renewable": renewable,
        "lease_duration": left.as_secs(),
        "data": data,
        "wrap_info": null,
        "warnings": null,
        "auth": null,
    });
    stub::json(status, &body)
}

fn errors(status: u16, reasons: &[&str]) -> Response {
    stub::json(status, &json!({ "errors": reasons }))
}
