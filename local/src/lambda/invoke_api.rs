//! The `Invoke` operation, for the AWS CLI and SDKs.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    Function, describe_api,
    refusal::{no_such_function, refuse},
};
use crate::invocation::Invoked;

/// The part of the log that `LogType=Tail` returns, in bytes (docs).
const TAIL: usize = 4096;

impl Function {
    /// `POST /2015-03-31/functions/{name or ARN}/invocations`, and the other paths below that name.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .merge(describe_api::router())
            .with_state(self.clone())
    }

    /// Whether it names this function: by name, ARN or partial ARN, with or without a version or alias.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let own = &self.0.settings.name;
        let last_parts: Vec<&str> = name.rsplitn(3, ':').collect();
        last_parts.first() == Some(&own.as_str()) || last_parts.get(1) == Some(&own.as_str())
    }
}

async fn invoke(
    State(function): State<Function>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !function.is_named(&name) {
        return no_such_function(&name);
    }
    let body = if body.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body
    };
    let event: Value = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(error) => {
            let message = format!("Could not parse request body into json: {error}");
            return refuse(
                StatusCode::BAD_REQUEST,
                "InvalidRequestContentException",
                &message,
            );
        }
    };
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match header("x-amz-invocation-type").unwrap_or("RequestResponse") {
        "RequestResponse" => {
            let with_log = header("x-amz-log-type") == Some("Tail");
            answer(function.invoke(event).await, with_log)
        }
        "Event" => {
            tokio::spawn(async move { drop(function.invoke(event).await) });
            StatusCode::ACCEPTED.into_response()
        }
        "DryRun" => StatusCode::NO_CONTENT.into_response(),
        other => refuse(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            &format!("InvocationType {other} is not one of RequestResponse, Event, DryRun"),
        ),
    }
}

/// A failed function is an HTTP success too; a header marks the failure.
fn answer(invoked: Invoked, with_log: bool) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-amz-executed-version",
        HeaderValue::from_static("$LATEST"),
    );
    if with_log && let Ok(tail) = HeaderValue::try_from(tail(&invoked.log)) {
        headers.insert("x-amz-log-result", tail);
    }
    match invoked.outcome {
        Ok(answer) => (headers, Json(answer)).into_response(),
        Err(error) => {
            headers.insert(
                "x-amz-function-error",
                HeaderValue::from_static("Unhandled"),
            );
            let body =
                json!({ "errorType": error.error_type, "errorMessage": error.error_message });
            (headers, Json(body)).into_response()
        }
    }
}

fn tail(log: &[String]) -> String {
    let text: String = log.iter().map(|line| format!("{line}\n")).collect();
    let bytes = text.as_bytes();
    BASE64_STANDARD.encode(&bytes[bytes.len().saturating_sub(TAIL)..])
}
