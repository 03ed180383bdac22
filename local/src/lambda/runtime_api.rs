//! The part of the Lambda runtime API that a runtime uses: `next`, `response`, `error`, `init/error`.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, watch};

use crate::invocation::FunctionError;

/// The trace of every invocation: none is sampled.
pub(super) const TRACE: &str = "Root=1-00000000-000000000000000000000000;Sampled=0";

/// An event for the process. It has no Debug, because it contains a RotationToken.
pub(super) struct Event {
    pub(super) id: String,
    pub(super) body: String,
    /// Milliseconds since 1970.
    pub(super) deadline: i64,
    pub(super) function_arn: String,
}

/// A message from the process.
#[derive(Debug)]
pub(super) enum Said {
    /// The answer to the invocation with this id.
    Answered(String, Result<Value, FunctionError>),
    /// The process could not start.
    InitFailed(FunctionError),
}

/// The state that the process and the host share.
pub(super) struct Exchange {
    events: Mutex<mpsc::Receiver<Event>>,
    said: mpsc::Sender<Said>,
    polls: watch::Sender<Polls>,
}

/// How often the process has asked for an event. Each time it has finished the event before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Polls {
    pub(super) count: u64,
    /// The first time it asked: it had started.
    pub(super) first: Option<Instant>,
}

/// The host's end of an [`Exchange`].
pub(super) struct Host {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) said: mpsc::Receiver<Said>,
    pub(super) polls: watch::Receiver<Polls>,
}

/// The API for one process, and the host's end of it.
pub(super) fn runtime_api() -> (Router, Host) {
    let (events, events_out) = mpsc::channel(1);
    let (said_in, said) = mpsc::channel(4);
    let (polls_in, polls) = watch::channel(Polls::default());
    let exchange = Exchange {
        events: Mutex::new(events_out),
        said: said_in,
        polls: polls_in,
    };
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(response),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(Arc::new(exchange));
    (
        router,
        Host {
            events,
            said,
            polls,
        },
    )
}

async fn next(State(exchange): State<Arc<Exchange>>) -> Response {
    exchange.polls.send_modify(|polls| {
        polls.count += 1;
        polls.first.get_or_insert_with(Instant::now);
    });
    let Some(event) = exchange.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response(); // the host is stopping
    };
    let mut headers = HeaderMap::new();
    // as Lambda does: Python's runtime gives the handler bytes without it
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    for (name, value) in [
        ("lambda-runtime-aws-request-id", event.id),
        ("lambda-runtime-deadline-ms", event.deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", event.function_arn),
        ("lambda-runtime-trace-id", TRACE.to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    (headers, event.body).into_response()
}

async fn response(
    State(exchange): State<Arc<Exchange>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
    say(&exchange, Said::Answered(id, Ok(answer))).await
}

async fn error(
    State(exchange): State<Arc<Exchange>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    say(&exchange, Said::Answered(id, Err(function_error(&body)))).await
}

async fn init_error(State(exchange): State<Arc<Exchange>>, body: Bytes) -> StatusCode {
    say(&exchange, Said::InitFailed(function_error(&body))).await
}

async fn say(exchange: &Exchange, said: Said) -> StatusCode {
    match exchange.said.send(said).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::GONE,
    }
}

fn function_error(body: &[u8]) -> FunctionError {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Body {
        error_type: String,
        error_message: String,
    }
    let Body {
        error_type,
        error_message,
    } = serde_json::from_slice(body).unwrap_or_default();
    FunctionError {
        error_type,
        error_message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_says_that_it_is_json() {
        let (events, events_out) = mpsc::channel(1);
        let exchange = Exchange {
            events: Mutex::new(events_out),
            said: mpsc::channel(1).0,
            polls: watch::Sender::default(),
        };
        let event = Event {
            id: "1".to_owned(),
            body: "{}".to_owned(),
            deadline: 0,
            function_arn: "arn".to_owned(),
        };
        let _ = events.send(event).await;
        let answer = next(State(Arc::new(exchange))).await;
        assert_eq!(answer.headers()["content-type"], "application/json");
    }
}
