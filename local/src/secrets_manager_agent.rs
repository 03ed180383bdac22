//! AWS's Secrets Manager Agent, as far as an application meets it, behind its real address, header and answers: its README, and its source
//! (`server.rs`, `parse.rs`, `cache_manager.rs` of aws-secretsmanager-agent). Its cache ends when it is told to.

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

/// A running agent. Clones are the same one.
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
    /// Starts one that takes this token. A Lambda extension knows no `refreshNow`.
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

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What Secrets Manager has from now on of this secret, under this label.
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

    /// Secrets Manager has nothing under this label any more.
    pub fn remove(&self, secret: &str, label: &str) {
        let mut store = self.lock();
        store.secrets.remove(&(secret.to_owned(), label.to_owned()));
    }

    /// The cache's time is over.
    pub fn expire(&self) {
        self.lock().cached.clear();
    }

    /// It started anew, with another token and an empty cache.
    pub fn restart(&self, token: &str) {
        self.expire();
        self.lock().token = token.to_owned();
    }

    /// The next request that has none yet meets this fault.
    pub fn fail(&self, fault: Fault) {
        self.script.fail(fault);
    }

    /// The queries that came so far to an answer, without the faults.
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
    let (mut secret, mut label, mut anew) = (String::new(), "AWSCURRENT".to_owned(), false);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "secretId" => secret = value.into_owned(),
            "versionStage" => label = value.into_owned(),
            "refreshNow" if store.knows_refresh_now => anew = value == "true",
            other => return plain(400, &format!("unknown parameter: {other}")),
        }
    }
    store.get((secret, label), anew)
}

impl Store {
    fn get(&mut self, of: (String, String), anew: bool) -> Response {
        let cached = self.cached.get(&of).filter(|_| !anew);
        let Some(value) = cached.or_else(|| self.secrets.get(&of)).cloned() else {
            let message = "Secrets Manager can't find the specified secret.";
            let body = json!({ "__type": "ResourceNotFoundException", "message": message });
            return stub::json(400, &body);
        };
        self.cached.insert(of, value.clone());
        plain(200, &value.to_string())
    }
}

/// The agent names no content type.
fn plain(status: u16, body: &str) -> Response {
    let mut response = body.to_owned().into_response();
    *response.status_mut() = stub::status_code(status);
    response
}
