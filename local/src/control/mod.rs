//! The world's own interface, for tests in any language and for `local schedule`: paths below `/_local`, and JSON.
//!
//! | request | what |
//! |---|---|
//! | `GET /_local/clock` | the time |
//! | `POST /_local/clock` `{"advance": "30d"}` | moves the clock; the answer lists the rotations that began |
//! | `GET /_local/schedule` | what happens next by itself |
//! | `GET /_local/faults` | all faults, with the number of requests that each still affects |
//! | `POST /_local/faults` | sets a fault, see below |
//! | `DELETE /_local/faults`, `DELETE /_local/faults/3` | removes all faults, or one; requests that hang continue |
//! | `POST /_local/roles` | makes a role, or changes its policies, see below |
//!
//! Dates look like `2027-01-31T08:00:00Z`. A refused request gets a status of 400 to 499 and
//! `{"error": "what is wrong: what is allowed"}`.
//!
//! A fault names an `operation` of Secrets Manager and a `behavior`. With a `secret` it affects only requests on that secret. With
//! `times` it affects that many requests, otherwise one.
//!
//! | behavior | what happens to the request |
//! |---|---|
//! | `{"behavior": "delay", "time": "3s"}` | it has its effect; the answer is late |
//! | `{"behavior": "hang", "when": "before"}` | it waits `before` or `after` its effect, until the fault is removed |
//! | `{"behavior": "throttle"}` | ThrottlingException |
//! | `{"behavior": "error", "code": "InternalServiceError", "status": 500, "message": "…"}` | this error; without `status` 400 |
//! | `{"behavior": "lag"}` | a read answers as before the secret's last change |
//! | `{"behavior": "cut", "when": "after"}` | the connection is closed `before` or `after` its effect, without an answer |
//!
//! A role has a `name`, a `trust` policy and `policies`, which are IAM documents. With an `access_key_id`, all calls that use that id
//! have the role, as on a machine with an instance role. Other callers use AssumeRole, if the trust policy allows it. An access key
//! id without a role may do everything.
//!
//! ```json
//! {
//!   "name": "reader",
//!   "trust": { "Version": "2012-10-17", "Statement": {
//!     "Effect": "Allow", "Principal": { "AWS": "123456789012" }, "Action": "sts:AssumeRole" } },
//!   "policies": [{ "Version": "2012-10-17", "Statement": {
//!     "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*" } }]
//! }
//! ```
//!
//! There is no authentication: this interface, like the whole world, is only for tests.

mod faults;
mod roles;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, post},
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::secrets_manager::{Due, Event, Fired, SecretsManager};

/// All requests, for the error about an unknown one.
const REQUESTS: [&str; 8] = [
    "GET /_local/clock",
    "POST /_local/clock",
    "GET /_local/schedule",
    "GET /_local/faults",
    "POST /_local/faults",
    "DELETE /_local/faults",
    "DELETE /_local/faults/{id}",
    "POST /_local/roles",
];

/// The routes of this interface, to merge with the service's own.
pub fn router(service: &SecretsManager) -> Router {
    Router::new()
        .route("/_local/clock", or_refuse(get(clock).post(advance)))
        .route("/_local/schedule", or_refuse(get(schedule)))
        .route(
            "/_local/faults",
            or_refuse(get(faults::list).post(faults::set).delete(faults::clear)),
        )
        .route("/_local/faults/{id}", or_refuse(delete(faults::clear_one)))
        .route("/_local/roles", or_refuse(post(roles::define)))
        .route("/_local", or_refuse(MethodRouter::new()))
        .route("/_local/{*rest}", or_refuse(MethodRouter::new()))
        .with_state(service.clone())
}

fn or_refuse(methods: MethodRouter<SecretsManager>) -> MethodRouter<SecretsManager> {
    methods.fallback(async |uri: Uri| {
        let path = uri.path();
        let error = format!(
            "this request to {path} is unknown: use one of {}",
            REQUESTS.join(", ")
        );
        Refused(StatusCode::NOT_FOUND, error)
    })
}

/// Why a request is refused: what is wrong, then what is allowed.
struct Refused(StatusCode, String);

impl Refused {
    fn request(error: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Ignores the body's content type, so that `curl --data` is enough.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::request(format!("the body is not the required JSON: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: String,
}

async fn clock(State(service): State<SecretsManager>) -> Json<Value> {
    Json(json!({ "now": date(service.clock().now()) }))
}

async fn advance(
    State(service): State<SecretsManager>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let Advance { advance } = read(&body)?;
    let by = humantime::parse_duration(&advance).map_err(|error| {
        Refused::request(format!(
            "advance is not a time ({error}): write it as 30d, 12h or 90s"
        ))
    })?;
    let fired = service
        .advance(by)
        .map_err(|error| Refused::request(error.to_string()))?;
    let began: Vec<Value> = fired.into_iter().map(began).collect();
    Ok(Json(
        json!({ "now": date(service.clock().now()), "began": began }),
    ))
}

fn began(fired: Fired) -> Value {
    match fired.begun {
        Ok(version) => json!({ "secret": fired.secret, "version": version }),
        Err(error) => json!({ "secret": fired.secret, "error": error.to_string() }),
    }
}

async fn schedule(State(service): State<SecretsManager>) -> Json<Value> {
    let schedule: Vec<Value> = service.schedule().into_iter().map(due).collect();
    Json(json!({ "now": date(service.clock().now()), "schedule": schedule }))
}

fn due(due: Due) -> Value {
    let event = match due.event {
        Event::Rotation => "rotation",
        Event::Deletion => "deletion",
    };
    json!({ "at": date(due.at), "until": due.until.map(date), "event": event, "secret": due.secret })
}

fn date(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
