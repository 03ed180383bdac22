//! AWS's Secrets Manager Agent for an application: its real address, header and answers. Sources: its README and its code
//! (`server.rs`, `parse.rs`, `cache_manager.rs` of aws-secretsmanager-agent). A test decides when its cache expires.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

pub use crate::stub::Fault;
use crate::stub::{self, Script};

/// A running agent. Clones share it.
#[derive(Clone)]
pub struct Agent {
    state: Arc<Mutex<Store>>,
    script: Script,
    port: u16,
}

#[derive(Default)]
struct Store {
    token: String,
    /// By id and label.
    secrets: BTreeMap<(String, String), Value>,
    cached: BTreeMap<(String, String), Value>,
    knows_refresh_now: bool,
    queries: Vec<String>,
}

impl Agent {
    /// Starts an agent that accepts this token. The Lambda extension has no `refreshNow`.
    pub async fn start(token: &str, knows_refresh_now: bool) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(Store {
            token: token.to_owned(),
            knows_refresh_now,
            ..Store::default()
        }));
        let script = Script::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let address = stub::serve(router, &script, None).await?;
        Ok(Self {
            state,
            script,
            port: address.port(),
        })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the value of this secret with this label in Secrets Manager.
    pub fn set(&self, secret: &str, label: &str, version: &str, text: &str) {
        let value = json!({
            "ARN": format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{secret}-AbCdEf"),
            "Name": secret,
            "VersionId": version,
            "SecretString": text,
            "VersionStages": [label],
            "CreatedDate": "1569534789.046",
        });
        let mut store = self.lock();
        store
            .secrets
            .insert((secret.to_owned(), label.to_owned()), value);
    }

    /// Removes the value with this label from Secrets Manager.
    pub fn remove(&self, secret: &str, label: &str) {
        let mut store = self.lock();
        store.secrets.remove(&(secret.to_owned(), label.to_owned()));
    }

    /// Expires the cache.
    pub fn expire(&self) {
        self.lock().cached.clear();
    }

    /// Restarts the agent with another token and an empty cache.
    pub fn restart(&self, token: &str) {
        self.expire();
        self.lock().token = token.to_owned();
    }

    /// Gives the next request without a fault this one.
    pub fn fail(&self, fault: Fault) {
        self.script.fail(fault);
    }

    /// The queries that got an answer. Those that met a fault are left out.
    pub fn queries(&self) -> Vec<String> {
        self.lock().queries.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(state): State<Arc<Mutex<Store>>>, uri: Uri, headers: HeaderMap) -> Response {
    let mut store = state.lock().unwrap_or_else(PoisonError::into_inner);
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if header("x-forwarded-for").is_some() {
        return plain(400, "Forwarded");
    }
    if header("x-aws-parameters-secrets-token") != Some(store.token.as_str()) {
        return plain(403, "Bad Token");
    }
    if uri.path() != "/secretsmanager/get" {
        return plain(404, "Not found");
    }
    let query = uri.query().unwrap_or_default();
    store.queries.push(query.to_owned());
    let (mut secret, mut label, mut refresh) = (String::new(), "AWSCURRENT".to_owned(), false);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "secretId" => secret = value.into_owned(),
            "versionStage" => label = value.into_owned(),
            "refreshNow" if store.knows_refresh_now => refresh = value == "true",
            other => return plain(400, &format!("unknown parameter: {other}")),
        }
    }
    store.get((secret, label), refresh)
}

impl Store {
    fn get(&mut self, of: (String, String), refresh: bool) -> Response {
        let cached = self.cached.get(&of).filter(|_| !refresh);
        let Some(value) = cached.or_else(|| self.secrets.get(&of)).cloned() else {
            let message = "Secrets Manager can't find the specified secret.";
            let body = json!({ "__type": "ResourceNotFoundException", "message": message });
            return stub::json(400, &body);
        };
        self.cached.insert(of, value.clone());
        plain(200, &value.to_string())
    }
}

/// The agent sends no content type.
fn plain(status: u16, body: &str) -> Response {
    let mut response = body.to_owned().into_response();
    *response.status_mut() = stub::status_code(status);
    response
}
