//! Answers in the shape of Secrets Manager's API.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use rotating_secret::{Error, provider::ProviderErrorKind as Kind};
use serde::Serialize;

use crate::{store, value::Failure, wire};

/// An error of the API.
pub(super) struct Fault {
    status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// An error in the request.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "InvalidParameterException",
            message,
        )
    }

    /// The error that Secrets Manager returned, or that it gave no answer.
    pub(super) fn of(error: &Error) -> Self {
        let reason = store::reason(error);
        if let Some(said) = reason.and_then(|reason| reason.refusal()) {
            let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::BAD_REQUEST);
            return Self::new(status, &said.code, said.message.clone().unwrap_or_default());
        }
        match reason.map(|reason| reason.kind()) {
            Some(Kind::Unavailable | Kind::Throttled) | None => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailableException",
                "Secrets Manager gives no answer, and the agent holds no version: see the agent's log",
            ),
            Some(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServiceError",
                "the agent cannot ask Secrets Manager: see the agent's log",
            ),
        }
    }
}

/// Seconds since 1970, to the millisecond, as the service sends them.
pub(super) fn epoch(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1000.0).round() / 1000.0
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = wire::respond(status, text.into());
    let json = HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

pub(super) fn failed(fault: &Fault) -> Response {
    let (code, message) = (fault.code.as_str(), Some(fault.message.as_str()));
    json(fault.status, &Failure { code, message })
}
