//! The JSON protocol of AWS's SDKs, with `AWS_ENDPOINT_URL_SECRETS_MANAGER=http://127.0.0.1:2773`.
//!
//! Signatures are not checked: the token decides. It comes as the SDK's session token, or in the endpoint's path
//! (`http://127.0.0.1:2773/sdk/TOKEN`), which no log shows.

mod answer;
mod operations;

use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header::USER_AGENT},
    response::Response,
};
use percent_encoding::percent_decode_str;

use self::answer::Fault;
use crate::{
    Agent,
    asker::Asker,
    connections::Connection,
    doors::{self, Refused},
    upstream, wire,
};

/// The longest request that is read: a batch of twenty ARNs has 42 KB at most.
const LONGEST: usize = 64 * 1024;

const TARGET: &str = "x-amz-target";

/// Whether this is a call of an SDK, and not a request to the routes of AWS's agent.
pub fn is_call<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    let is_place = path == "/" || path.starts_with(PREFIX);
    is_place && request.method() == Method::POST && request.headers().contains_key(TARGET)
}

/// How a path with a token begins.
const PREFIX: &str = "/sdk/";

/// Answers one request.
pub async fn answer(agent: &Agent, connection: &Connection, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let headers = &head.headers;
    let access = agent.access();
    if let Err(refused) = doors::is_local(&head, &access, connection) {
        return answer::failed(&refusal(refused));
    }
    let names = [HeaderName::from_static("x-amz-security-token")];
    let mut asker = Asker::new(connection.peer(), headers, &names);
    if let Some(path) = head.uri.path().strip_prefix(PREFIX) {
        let token: Vec<u8> = percent_decode_str(path.trim_end_matches('/')).collect();
        // what no header can carry is no token
        asker.given = HeaderValue::try_from(token).into_iter().collect();
    }
    match doors::open(&asker, &access, connection) {
        Ok(_) => {}
        Err(Refused::Full) => return wire::closing(answer::failed(&refusal(Refused::Full))),
        Err(refused) => return answer::failed(&refusal(refused)),
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text(USER_AGENT.as_str()).is_some_and(|agent| agent.contains(upstream::NAME)) {
        let message =
            "this agent asks itself: set endpoint in its settings to Secrets Manager's address";
        return answer::failed(&Fault::new(
            StatusCode::BAD_REQUEST,
            "ValidationException",
            message,
        ));
    }
    let operation = text(TARGET).unwrap_or_default();
    let operation = operation
        .strip_prefix("secretsmanager.")
        .unwrap_or(operation);
    let body = match read(body).await {
        Ok(body) => body,
        Err(fault) => return answer::failed(&fault),
    };
    match operations::perform(agent, &asker, operation, &body).await {
        Ok(answered) => answered,
        Err(fault) => answer::failed(&fault),
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Fault> {
    // a body that is announced as too long is not read
    let is_short = body.size_hint().lower() <= LONGEST as u64;
    if is_short && let Ok(bytes) = to_bytes(body, LONGEST).await {
        return Ok(bytes.into());
    }
    let message = format!("the request has more than {LONGEST} bytes, or ended early");
    Err(Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLargeException",
        message,
    ))
}

fn refusal(refused: Refused) -> Fault {
    match refused {
        Refused::Token => Fault::new(
            StatusCode::BAD_REQUEST,
            "UnrecognizedClientException",
            "the agent's token is missing or wrong: give it as AWS_SESSION_TOKEN, or in AWS_ENDPOINT_URL_SECRETS_MANAGER as http://127.0.0.1:2773/sdk/TOKEN",
        ),
        Refused::User => forbidden(
            "this socket does not serve the user of this process: add it to users in the socket's table of the agent's settings",
        ),
        // SDKs retry after this error
        Refused::Full => Fault::new(
            StatusCode::TOO_MANY_REQUESTS,
            "ThrottlingException",
            "the agent serves as many connections as max_conn allows",
        ),
        Refused::Forwarded => forbidden(
            "a proxy has forwarded this request, and the agent serves only its own machine",
        ),
        Refused::Host => forbidden(
            "this host is not the agent's: reach it as localhost, or name the host in hosts of its settings",
        ),
        Refused::Browser => {
            forbidden("a browser sent this request for a page, and the agent serves programs")
        }
    }
}

fn forbidden(message: &str) -> Fault {
    Fault::new(StatusCode::FORBIDDEN, "AccessDeniedException", message)
}
