//! The routes of AWS's agent: `/ping`, `/secretsmanager/get`, and a prefix followed by an id. `/ready` and `/rotating-secret/…` are ours.
//!
//! Statuses, texts and the order of the checks are AWS's: a client of its agent notices no difference.

mod answer;
mod changes;
mod query;
mod rejected;

use std::sync::Arc;

use axum::{
    http::{Method, StatusCode, request::Parts},
    response::Response,
};

pub(crate) use answer::{closing, mark, plain, refused, respond};

use crate::{Agent, asker::Asker, connections::Connection, doors, store::Question, telemetry};
use query::Parameters;

/// The route of AWS's Lambda extension for parameters.
const PARAMETERS: &str = "/systemsmanager/parameters/get";

const GET: &str = "/secretsmanager/get";
const CHANGES: &str = "/rotating-secret/changes";
const REJECTED: &str = "/rotating-secret/rejected";

/// The request took too long: for example, its body did not come.
pub fn timed_out() -> Response {
    closing(plain(StatusCode::REQUEST_TIMEOUT, "Timeout"))
}

/// Answers one request.
pub async fn answer(agent: &Arc<Agent>, connection: &Connection, request: &Parts) -> Response {
    let path = request.uri.path();
    if path == "/ping" {
        return match request.method {
            Method::GET => plain(StatusCode::OK, "healthy"),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, "Not allowed"),
        };
    }
    let names = &agent.settings.token_headers;
    let access = agent.access();
    let asker = Asker::new(connection.peer(), &request.headers, names);
    let passed = doors::is_local(request, &access, connection);
    if path == "/ready" && request.method == Method::GET && passed.is_ok() {
        return ready(agent);
    }
    let right = match passed.and_then(|()| doors::open(&asker, &access, connection)) {
        Ok(right) => right,
        Err(refused) => return answer::refused(refused),
    };
    let method = match path {
        REJECTED => Method::POST,
        _ => Method::GET,
    };
    if request.method != method {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "Not allowed");
    }
    // a proxy or a library that resolves dot segments would ask for another secret
    if path.split('/').any(is_dots) {
        return plain(
            StatusCode::BAD_REQUEST,
            "dot segments in the path: write the id as secretId",
        );
    }
    if path.trim_end_matches('/') == PARAMETERS {
        // 404, as AWS's agent answers: clients of its extension repeat a request that got 400
        return plain(
            StatusCode::NOT_FOUND,
            "parameters of Systems Manager are not served here: read them with GetParameter of an AWS SDK; \
             a secret is at /secretsmanager/get?secretId=NAME",
        );
    }
    let query = request.uri.query().unwrap_or_default();
    let parameters = Parameters::read(query);
    let question = match path.strip_prefix(&*agent.settings.path_prefix) {
        _ if matches!(path, GET | CHANGES | REJECTED) => parameters.and_then(Parameters::with_id),
        Some(id) => parameters.and_then(|parameters| parameters.of(id)),
        None => return plain(StatusCode::NOT_FOUND, "Not found"),
    };
    match question {
        Ok(question) if path == CHANGES => {
            let most = access.watches(agent.settings.connections);
            let place = right.allowance().watch(most);
            let place = place.ok_or(right.shown_by());
            changes::respond(agent, asker, place, request, question).await
        }
        Ok(question) if path == REJECTED => {
            rejected::respond(agent, &asker, right, query, question).await
        }
        Ok(question) => read(agent, &asker, &question).await,
        Err(problem) => plain(StatusCode::BAD_REQUEST, &problem),
    }
}

/// Whether every required file is written. Like `/ping`, it needs no token: it names files, and no secret.
fn ready(agent: &Agent) -> Response {
    let missing = agent.files.missing();
    match missing.is_empty() {
        true => plain(StatusCode::OK, "ready"),
        false => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("missing: {}", missing.join(", ")),
        ),
    }
}

async fn read(agent: &Agent, asker: &Asker, question: &Question) -> Response {
    let read = agent.read(asker, question).await;
    telemetry::read("wire", &read);
    match read {
        Ok(read) => answer::value(&read),
        Err(error) => answer::failed(&error),
    }
}

/// `.` and `..`, also percent-encoded.
fn is_dots(segment: &str) -> bool {
    let (mut dots, mut rest) = (0, segment);
    let dot = [".", "%2e", "%2E"];
    while let Some(after) = dot.iter().find_map(|dot| rest.strip_prefix(dot)) {
        (dots, rest) = (dots + 1, after);
    }
    rest.is_empty() && (1..=2).contains(&dots)
}
