//! A service with API keys, as many exist. The account's key creates, lists and deletes keys; each of these keys opens the
//! service. An account may have two keys.
//!
//! | request | as | answer |
//! |---|---|---|
//! | `POST /keys` `{"name": …}` | the account | 201 `{"id", "name", "secret"}`, or 409 if there are two |
//! | `GET /keys` | the account | `{"keys": [{"id", "name"}]}` |
//! | `DELETE /keys/{id}` | the account | 204, or 404 |
//! | `POST /moved` | anyone | 307, to `/keys` |
//! | `GET /me` | a key | 200 `{"id"}`, or 401 |

mod recorder;
mod user;

pub use recorder::Recorder;
pub use user::{Seen, User};

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, RETRY_AFTER},
    },
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{delete, get, post},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    secrets_manager::{Behavior, When},
    stub::{self, Certificate, Script},
};

/// How many keys an account may have by default.
pub const LIMIT: usize = 2;

/// A running service. Clones share it.
#[derive(Clone)]
pub struct KeyService {
    account: Arc<Mutex<Account>>,
    host: String,
    ca: String,
}

struct Account {
    key: SecretString,
    keys: Vec<Key>,
    /// Every key that ever existed.
    ever: Vec<SecretString>,
    /// How many keys the account may have.
    limit: usize,
    /// Whether a repeated `Idempotency-Key` returns the same key.
    idempotent: bool,
    made: HashMap<String, Key>,
    /// The answer to `POST /keys` in place of the new key.
    answer: Option<String>,
    /// Whether ids are numbers.
    numbers: bool,
    /// How often a new key is rejected before the service accepts it.
    not_ready: usize,
    faults: Vec<(String, Fault)>,
    /// The kind of each request so far.
    requests: Vec<String>,
    refused: usize,
}

enum Fault {
    Behavior(Behavior),
    /// 429, with this `Retry-After`.
    Busy(String),
}

#[derive(Clone)]
struct Key {
    id: String,
    name: String,
    secret: SecretString,
    /// How often it will still be rejected.
    not_ready: usize,
}

impl KeyService {
    /// Starts a service with TLS on a free port of this machine. It has one key that was made by hand.
    ///
    /// # Errors
    ///
    /// There is no port, or no certificate.
    pub async fn start() -> io::Result<Self> {
        let (key, by_hand) = (secret(), secret());
        let account = Account {
            ever: vec![key.clone(), by_hand.clone()],
            key,
            keys: vec![Key {
                id: Uuid::new_v4().simple().to_string(),
                name: "made by hand".to_owned(),
                secret: by_hand,
                not_ready: 0,
            }],
            limit: LIMIT,
            idempotent: false,
            made: HashMap::new(),
            answer: None,
            numbers: false,
            not_ready: 0,
            faults: Vec::new(),
            requests: Vec::new(),
            refused: 0,
        };
        let account = Arc::new(Mutex::new(account));
        let router = Router::new()
            .route("/keys", get(list).post(create))
            .route("/keys/{id}", delete(end))
            .route("/moved", post(|| async { Redirect::temporary("/keys") }))
            .route("/me", get(verify))
            .layer(middleware::from_fn_with_state(account.clone(), meet))
            .with_state(account.clone());
        let certificate = Certificate::new(&["localhost"])?;
        let address = stub::serve(router, &Script::default(), Some(&certificate)).await?;
        Ok(Self {
            account,
            host: format!("localhost:{}", address.port()),
            ca: certificate.pem(),
        })
    }

    /// Host and port for `ALLOWED_HOSTS`, as a `private:` entry.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The service's own certificate, as PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The content of the master secret.
    pub fn master(&self) -> Value {
        json!({ "key": self.lock().key.expose_secret(), "account": "acme" })
    }

    /// The document of a secret for the key that was made by hand.
    pub fn document(&self, master: &str) -> Value {
        let account = self.lock();
        let by_hand = &account.keys[0];
        let url = |path: &str| format!("https://{}{path}", self.host);
        let as_account =
            json!({ "authorization": "Bearer {master.key}", "x-account": "{master.account}" });
        json!({
            "engine": "http-api-key",
            "masterarn": master,
            "key_id": by_hand.id,
            "key": by_hand.secret.expose_secret(),
            "create": {
                "method": "POST", "url": url("/keys"), "headers": as_account, "body": { "name": "{label}" },
                "id": "/id", "key": "/secret",
            },
            "verify": {
                "method": "GET", "url": url("/me"), "headers": { "authorization": "Bearer {key}" },
            },
            "delete": { "method": "DELETE", "url": url("/keys/{key_id}"), "headers": as_account },
            "list": {
                "method": "GET", "url": url("/keys"), "headers": as_account,
                "keys": "/keys", "id": "/id", "label": "/name",
            },
        })
    }

    /// Sets the number of keys that an account may have.
    pub fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
    }

    /// Makes a repeated `Idempotency-Key` return the same key.
    pub fn set_idempotent(&self) {
        self.lock().idempotent = true;
    }

    /// `POST /keys` then makes keys but answers with this text. `None` ends that.
    pub fn set_answer(&self, answer: Option<&str>) {
        self.lock().answer = answer.map(str::to_owned);
    }

    /// Makes the ids of new keys numbers.
    pub fn set_numbers(&self) {
        self.lock().numbers = true;
    }

    /// Makes the service reject a new key this many times.
    pub fn set_not_ready(&self, times: usize) {
        self.lock().not_ready = times;
    }

    /// The ids of the existing keys, the oldest first.
    pub fn keys(&self) -> Vec<String> {
        let account = self.lock();
        account.keys.iter().map(|key| key.id.clone()).collect()
    }

    /// The existing keys themselves, for tests that search for leaked keys.
    pub fn secrets(&self) -> Vec<String> {
        let account = self.lock();
        let secrets = account.keys.iter().map(|key| key.secret.expose_secret());
        secrets.map(str::to_owned).collect()
    }

    /// Every key that ever existed, and the account's, for tests that search for leaked keys.
    pub fn ever(&self) -> Vec<SecretString> {
        self.lock().ever.clone()
    }

    /// Adds a key without the API.
    pub fn add(&self, id: &str, name: &str) {
        let mut account = self.lock();
        let secret = account.draw();
        account.keys.push(Key {
            id: id.to_owned(),
            name: name.to_owned(),
            secret,
            not_ready: 0,
        });
    }

    /// Deletes a key without the API.
    pub fn delete(&self, id: &str) {
        self.lock().keys.retain(|key| key.id != id);
    }

    /// The kind of each request so far, named as in [`inject`](Self::inject).
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// The number of requests with an invalid key.
    pub fn refused(&self) -> usize {
        self.lock().refused
    }

    /// Gives the next request of this kind (`POST /keys`, `DELETE /keys`, …) this fault. [`Behavior::Lag`] is not supported.
    pub fn inject(&self, request: &str, behavior: Behavior) {
        self.fail(request, Fault::Behavior(behavior));
    }

    /// Answers the next request of this kind with 429 and this `Retry-After`. It has no effect.
    pub fn busy(&self, request: &str, retry_after: &str) {
        self.fail(request, Fault::Busy(retry_after.to_owned()));
    }

    /// The number of faults that no request has used yet.
    pub fn faults_left(&self) -> usize {
        self.lock().faults.len()
    }

    fn fail(&self, request: &str, fault: Fault) {
        self.lock().faults.push((request.to_owned(), fault));
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }
}

type Shared = State<Arc<Mutex<Account>>>;

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

fn secret() -> SecretString {
    format!("key_{}", Uuid::new_v4().simple()).into()
}

/// Applies the next fault, before the service's answer or after its effect.
async fn meet(State(account): Shared, request: Request, next: Next) -> Response {
    let folder = request.uri().path().split('/').nth(1).unwrap_or_default();
    let kind = format!("{} /{folder}", request.method());
    let fault = {
        let mut account = lock(&account);
        let found = account.faults.iter().position(|(fault, _)| *fault == kind);
        account.requests.push(kind);
        found.map(|found| account.faults.remove(found).1)
    };
    let behavior = match fault {
        None => return next.run(request).await,
        Some(Fault::Busy(wait)) => {
            let busy = (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, wait)]);
            return busy.into_response();
        }
        Some(Fault::Behavior(behavior)) => behavior,
    };
    match behavior {
        Behavior::Lag => next.run(request).await,
        Behavior::Error(error) => {
            let status = StatusCode::from_u16(error.status);
            (
                status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                error.message,
            )
                .into_response()
        }
        Behavior::Drop(When::BeforeEffect) => stub::no_answer(),
        Behavior::Drop(When::AfterEffect) => {
            drop(next.run(request).await);
            stub::no_answer()
        }
        Behavior::Hang(When::BeforeEffect, hang) => {
            hang.hold().await;
            next.run(request).await
        }
        Behavior::Hang(When::AfterEffect, hang) => {
            let response = next.run(request).await;
            hang.hold().await;
            response
        }
        Behavior::Delay(time) => {
            let response = next.run(request).await;
            tokio::time::sleep(time).await;
            response
        }
    }
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

fn not_the_account() -> Response {
    refuse(StatusCode::UNAUTHORIZED, "not the account's key")
}

impl Account {
    fn draw(&mut self) -> SecretString {
        let secret = secret();
        self.ever.push(secret.clone());
        secret
    }

    fn is_of_account(&self, headers: &HeaderMap) -> bool {
        bearer(headers) == self.key.expose_secret()
    }
}

async fn create(State(account): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let mut account = lock(&account);
    if !account.is_of_account(&headers) {
        return not_the_account();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(name) = body["name"].as_str() else {
        return refuse(StatusCode::BAD_REQUEST, "a key has a name");
    };
    let repeated = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let repeated = repeated.filter(|_| account.idempotent).map(str::to_owned);
    if let Some(made) = repeated.as_ref().and_then(|key| account.made.get(key)) {
        return made.shown();
    }
    if account.keys.len() >= account.limit {
        return refuse(
            StatusCode::CONFLICT,
            "the account has as many keys as it may have",
        );
    }
    let id = match account.numbers {
        true => Uuid::new_v4().as_u128().to_string(), // more digits than a float keeps
        false => Uuid::new_v4().simple().to_string(),
    };
    let key = Key {
        id,
        name: name.to_owned(),
        secret: account.draw(),
        not_ready: account.not_ready,
    };
    account.keys.push(key.clone());
    let shown = match &account.answer {
        Some(answer) => (StatusCode::CREATED, answer.clone()).into_response(),
        None => key.shown(),
    };
    if let Some(repeated) = repeated {
        account.made.insert(repeated, key);
    }
    shown
}

impl Key {
    /// Its id as JSON.
    fn id(&self) -> Value {
        let number = self.id.parse::<u128>().is_ok();
        let text = Value::from(self.id.as_str());
        let read = number.then(|| serde_json::from_str(&self.id).ok());
        read.flatten().unwrap_or(text)
    }

    /// The key as JSON: the only answer with the secret.
    fn shown(&self) -> Response {
        let Self { name, secret, .. } = self;
        let body = json!({ "id": self.id(), "name": name, "secret": secret.expose_secret() });
        (StatusCode::CREATED, Json(body)).into_response()
    }
}

async fn list(State(account): Shared, headers: HeaderMap) -> Response {
    let account = lock(&account);
    if !account.is_of_account(&headers) {
        return not_the_account();
    }
    let keys = account.keys.iter();
    let keys: Vec<Value> = keys
        .map(|key| json!({ "id": key.id(), "name": key.name }))
        .collect();
    Json(json!({ "keys": keys })).into_response()
}

async fn end(State(account): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let mut account = lock(&account);
    if !account.is_of_account(&headers) {
        return not_the_account();
    }
    let before = account.keys.len();
    account.keys.retain(|key| key.id != id);
    if account.keys.len() == before {
        return refuse(StatusCode::NOT_FOUND, "no such key");
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn verify(State(account): Shared, headers: HeaderMap) -> Response {
    let mut account = lock(&account);
    let key = bearer(&headers);
    let mut keys = account.keys.iter_mut();
    if let Some(known) = keys.find(|known| known.secret.expose_secret() == key) {
        if known.not_ready == 0 {
            return Json(json!({ "id": known.id })).into_response();
        }
        known.not_ready -= 1;
        return refuse(StatusCode::UNAUTHORIZED, "not a key yet");
    }
    account.refused += 1;
    refuse(StatusCode::UNAUTHORIZED, "not a key")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
