//! The `Invoke` operation, as the AWS CLI and the SDKs speak it.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use super::Function;

impl Function {
    /// `POST /2015-03-31/functions/{name or ARN}/invocations`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .with_state(self.clone())
    }

    /// By name, by ARN, by what stands between, and with a version or alias behind it.
    fn is_named(&self, name: &str) -> bool {
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
        return refuse(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            &format!("Function not found: {name}"),
        );
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
    let kind = headers
        .get("x-amz-invocation-type")
        .and_then(|kind| kind.to_str().ok());
    match kind.unwrap_or("RequestResponse") {
        "RequestResponse" => {
            let invoked = function.invoke(event).await;
            let version = ("x-amz-executed-version", "$LATEST");
            match invoked.outcome {
                Ok(answer) => ([version], Json(answer)).into_response(),
                Err(error) => {
                    let body = json!({ "errorType": error.error_type, "errorMessage": error.error_message });
                    ([version, ("x-amz-function-error", "Unhandled")], Json(body)).into_response()
                }
            }
        }
        "Event" => {
            tokio::spawn(async move { drop(function.invoke(event).await) });
            StatusCode::ACCEPTED.into_response()
        }
        "DryRun" => StatusCode::NO_CONTENT.into_response(),
        other => refuse(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            &format!("InvocationType {other} is none of RequestResponse, Event, DryRun"),
        ),
    }
}

fn refuse(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = json!({ "Type": "User", "Message": message });
    (status, [("x-amzn-errortype", code)], Json(body)).into_response()
}
