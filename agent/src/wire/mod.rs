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
use futures_util::future::{BoxFuture, Either, Ready, ready};
use rotating_secret::Error;

pub(crate) use answer::{closing, mark, plain, refused, respond};

use crate::{
    Agent,
    allowance::{Allowance, Place},
    asker::Asker,
    connections::Connection,
    doors,
    store::{Answer, Question},
    telemetry,
};
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

/// An answer that is ready, as most are, or one that waits.
pub type Answering = Either<Ready<Response>, BoxFuture<'static, Response>>;

/// Answers one request.
pub fn answer(agent: &Arc<Agent>, connection: &Connection, request: Parts) -> Answering {
    let route = route(agent, connection, &request);
    // a client that has left must not keep its place among those that wait for changes
    connection.owe(!matches!(route, Route::Changes(..)));
    match route {
        Route::Answer(answer) => Either::Left(ready(answer)),
        Route::Read(asker, question) => read(agent, asker, question),
        Route::Changes(asker, place, question) => {
            let agent = agent.clone();
            let answer = changes::respond(agent, asker, place, request.headers, question);
            Either::Right(Box::pin(answer))
        }
        Route::Rejected(asker, allowance, shown_by, question) => {
            let (agent, query) = (agent.clone(), query(&request).to_owned());
            let answer = rejected::respond(agent, asker, allowance, shown_by, query, question);
            Either::Right(Box::pin(answer))
        }
    }
}

/// What a request leads to.
enum Route {
    Answer(Response),
    Read(Asker, Question),
    Changes(Asker, Result<Place, &'static str>, Question),
    Rejected(Asker, Arc<Allowance>, &'static str, Question),
}

fn route(agent: &Agent, connection: &Connection, request: &Parts) -> Route {
    let path = request.uri.path();
    let say = |status, text: &str| Route::Answer(plain(status, text));
    if path == "/ping" {
        return match request.method {
            Method::GET => say(StatusCode::OK, "healthy"),
            _ => say(StatusCode::METHOD_NOT_ALLOWED, "Not allowed"),
        };
    }
    let names = &agent.settings.token_headers;
    let access = agent.access();
    let asker = Asker::new(connection.peer(), &request.headers, names);
    let passed = doors::is_local(request, &access, connection);
    if path == "/ready" && request.method == Method::GET && passed.is_ok() {
        return Route::Answer(is_ready(agent));
    }
    let right = match passed.and_then(|()| doors::open(&asker, &access, connection)) {
        Ok(right) => right,
        Err(refused) => return Route::Answer(answer::refused(refused)),
    };
    let method = match path {
        REJECTED => Method::POST,
        _ => Method::GET,
    };
    if request.method != method {
        return say(StatusCode::METHOD_NOT_ALLOWED, "Not allowed");
    }
    // a proxy or a library that resolves dot segments would ask for another secret
    if path.split('/').any(is_dots) {
        return say(
            StatusCode::BAD_REQUEST,
            "dot segments in the path: write the id as secretId",
        );
    }
    if path.trim_end_matches('/') == PARAMETERS {
        // 404, as AWS's agent answers: clients of its extension repeat a request that got 400
        return say(
            StatusCode::NOT_FOUND,
            "parameters of Systems Manager are not served here: read them with GetParameter of an AWS SDK; \
             a secret is at /secretsmanager/get?secretId=NAME",
        );
    }
    let parameters = Parameters::read(query(request));
    let question = match path.strip_prefix(&*agent.settings.path_prefix) {
        _ if matches!(path, GET | CHANGES | REJECTED) => parameters.and_then(Parameters::with_id),
        Some(id) => parameters.and_then(|parameters| parameters.of(id)),
        None => return say(StatusCode::NOT_FOUND, "Not found"),
    };
    match question {
        Ok(question) if path == CHANGES => {
            let most = access.watches(agent.settings.connections);
            let place = right.allowance().watch(most);
            Route::Changes(asker, place.ok_or(right.shown_by()), question)
        }
        Ok(question) if path == REJECTED => {
            let shown_by = right.shown_by();
            Route::Rejected(asker, right.allowance().clone(), shown_by, question)
        }
        Ok(question) => Route::Read(asker, question),
        Err(problem) => say(StatusCode::BAD_REQUEST, &problem),
    }
}

fn query(request: &Parts) -> &str {
    request.uri.query().unwrap_or_default()
}

/// Whether every required file is written. Like `/ping`, it needs no token: it names files, and no secret.
fn is_ready(agent: &Agent) -> Response {
    let missing = agent.files.missing();
    match missing.is_empty() {
        true => plain(StatusCode::OK, "ready"),
        false => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("missing: {}", missing.join(", ")),
        ),
    }
}

fn read(agent: &Arc<Agent>, asker: Asker, question: Question) -> Answering {
    if let Some(read) = agent.cached(&asker, &question).transpose() {
        return Either::Left(ready(answer_to(&read)));
    }
    let agent = agent.clone();
    let read = async move { answer_to(&agent.read(&asker, &question).await) };
    Either::Right(Box::pin(read))
}

fn answer_to(read: &Result<Answer, Error>) -> Response {
    telemetry::read("wire", read);
    match read {
        Ok(read) => answer::value(read),
        Err(error) => answer::failed(error),
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
