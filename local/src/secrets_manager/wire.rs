//! The HTTP interface: AWS's JSON 1.1 protocol on one path, with the operation in a header. Signatures are ignored: only the access
//! key id counts, see [`Iam`](crate::iam::Iam).

use std::{io, time::Instant};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Call, SecretsManager,
    error::ServiceError,
    faults::{Behavior, When},
    secret::View,
};
use crate::iam::{ROOT, signed_for};

const AMZ_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// The recorded code for a request that was cut before its effect.
const DROPPED: &str = "ConnectionDropped";

pub(super) fn router(service: SecretsManager) -> Router {
    Router::new().route("/", post(serve)).with_state(service)
}

async fn serve(State(service): State<SecretsManager>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default();
    let operation = target.strip_prefix("secretsmanager.").unwrap_or(target);
    let input: Value = match serde_json::from_slice(&body) {
        Ok(input) => input,
        Err(error) => return respond(Err(ServiceError::serialization(&error))),
    };
    let text = |field: &str| input.get(field).and_then(Value::as_str).map(str::to_owned);
    let secret = text("SecretId").or_else(|| text("Name"));
    let rotation_token = text("RotationToken");
    let record = |result| {
        let (operation, secret, rotation_token) =
            (operation.to_owned(), secret.clone(), rotation_token.clone());
        service.record(Call {
            operation,
            secret,
            rotation_token,
            result,
            at: Instant::now(),
        });
    };

    let region = signed_for(&headers).and_then(|mut scope| scope.nth(2));
    let region = region.unwrap_or(&service.shared.home);
    let behavior = service.fault(region, operation, secret.as_deref());
    match &behavior {
        Some(Behavior::Error(error)) => {
            record(Err(error.code.clone()));
            return respond(Err(error.clone()));
        }
        Some(Behavior::Drop(When::BeforeEffect)) => {
            record(Err(DROPPED.to_owned()));
            return no_answer();
        }
        Some(Behavior::Hang(When::BeforeEffect, hang)) => hang.hold().await,
        _ => {}
    }

    let view = match behavior {
        Some(Behavior::Lag) => View::Behind,
        _ => View::Now,
    };
    let result = match service.iam().caller(&headers) {
        Ok(caller) => {
            let caller = Some(caller.as_ref().unwrap_or(&ROOT));
            service.perform(caller, region, operation, input.clone(), view)
        }
        Err(error) => Err(ServiceError::refused(error.code(), error.to_string())),
    };
    record(
        result
            .as_ref()
            .map(|_| ())
            .map_err(|error| error.code.clone()),
    );

    match &behavior {
        Some(Behavior::Drop(When::AfterEffect)) => return no_answer(),
        Some(Behavior::Hang(When::AfterEffect, hang)) => hang.hold().await,
        Some(Behavior::Delay(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    respond(result)
}

fn respond(result: Result<Value, ServiceError>) -> Response {
    let mut response = match result {
        Ok(body) => body.to_string().into_response(),
        Err(error) => {
            let status =
                StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, error_body(&error).to_string()).into_response();
            if let Ok(code) = HeaderValue::from_str(&error.code) {
                response.headers_mut().insert("x-amzn-errortype", code);
            }
            response
        }
    };
    response.headers_mut().insert(CONTENT_TYPE, AMZ_JSON);
    if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// The service's own exceptions have `Message`, those of its front end `message` (recorded for `ValidationException`).
fn error_body(error: &ServiceError) -> Value {
    let front_door = [
        "ValidationException",
        "SerializationException",
        "AccessDeniedException",
        "ThrottlingException",
        "ExpiredTokenException",
        "UnrecognizedClientException",
    ];
    let field = if front_door.contains(&error.code.as_str()) {
        "message"
    } else {
        "Message"
    };
    json!({ "__type": error.code, field: error.message })
}

/// A response whose body fails before its first byte.
///
/// hyper then closes the connection and drops the buffered head: the client sees a closed connection without an answer.
fn no_answer() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, _>(io::Error::other("dropped on purpose"))
    });
    Response::new(Body::from_stream(broken))
}

pub(super) fn parse<T: DeserializeOwned>(input: Value) -> Result<T, ServiceError> {
    serde_json::from_value(input).map_err(|error| ServiceError::serialization(&error))
}

pub(super) fn answer(output: impl Serialize) -> Result<Value, ServiceError> {
    serde_json::to_value(output).map_err(|error| ServiceError::serialization(&error))
}
