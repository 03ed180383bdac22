//! The answers of AWS's agent, word for word, plus our headers.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use rotating_secret::{
    Error,
    provider::{Outage, ProviderErrorKind as Kind},
};
use serde::Serialize;

use crate::{
    doors::Refused,
    store::{self, Answer},
    value::{Failure, Value},
};

/// A version.
pub(super) fn value(read: &Answer) -> Response {
    let mut response = json(StatusCode::OK, &Value::of(&read.credential, epoch));
    mark(response.headers_mut(), read);
    response
}

/// Headers with age in seconds, version, and staleness.
pub(crate) fn mark(headers: &mut HeaderMap, read: &Answer) {
    headers.insert("x-rotating-secret-age", read.age.as_secs().into());
    if let Ok(version) = HeaderValue::from_str(read.credential.version()) {
        headers.insert("x-rotating-secret-version", version);
    }
    if read.is_stale {
        let stale = HeaderValue::from_static("true");
        headers.insert("x-rotating-secret-stale", stale);
    }
}

/// A version without its secret, with its id as ETag.
pub(super) fn version(read: &Answer) -> Response {
    let mut response = respond(StatusCode::OK, seen(read).into());
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    mark(headers, read);
    tag(headers, &etag(read));
    response
}

/// Nothing has changed.
pub(super) fn not_modified(etag: &str) -> Response {
    let mut response = respond(StatusCode::NOT_MODIFIED, Body::empty());
    tag(response.headers_mut(), etag);
    response
}

pub(super) fn etag(read: &Answer) -> String {
    format!("\"{}\"", read.credential.version())
}

fn tag(headers: &mut HeaderMap, etag: &str) {
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
}

/// What a program may know of a version without reading it, as JSON.
pub(super) fn seen(read: &Answer) -> String {
    text(&Version {
        version_id: read.credential.version(),
        version_stages: read.credential.stages(),
        created_date: read.credential.created().map(epoch),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version<'a> {
    version_id: &'a str,
    version_stages: &'a [String],
    created_date: Option<String>,
}

/// An error of Secrets Manager passes through. A failure to reach it has no details.
pub(super) fn failed(error: &Error) -> Response {
    let (status, failure) = failure(error);
    json(status, &failure)
}

/// The body of that answer.
pub(super) fn told(error: &Error) -> String {
    text(&failure(error).1)
}

fn failure(error: &Error) -> (StatusCode, Failure<'_>) {
    let reason = store::reason(error);
    let (status, code, message) = match reason.and_then(|reason| reason.refusal()) {
        Some(said) => {
            let code = said
                .message
                .as_ref()
                .map_or("InternalFailure", |_| &said.code);
            (said.status, code, said.message.as_deref())
        }
        None => match reason.map(|reason| (reason.outage(), reason.kind())) {
            Some((Some(Outage::TimedOut), _)) => (504, "TimeoutError", Some("Timeout")),
            Some((Some(Outage::Unreadable), _)) => (502, "ConnectionError", Some("Response Error")),
            Some((_, Kind::Unavailable)) => (502, "ConnectionError", Some("Read Error")),
            _ => (500, "InternalFailure", None),
        },
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Failure { code, message })
}

/// The answer to a request that is refused without a call.
pub(crate) fn refused(refused: Refused) -> Response {
    match refused {
        Refused::Forwarded => plain(StatusCode::BAD_REQUEST, "Forwarded"),
        Refused::Host => plain(StatusCode::BAD_REQUEST, "Host"),
        Refused::Browser => plain(StatusCode::FORBIDDEN, "Origin"),
        Refused::Token | Refused::User => plain(StatusCode::FORBIDDEN, "Bad Token"),
        Refused::Full => closing(plain(
            StatusCode::TOO_MANY_REQUESTS,
            "Connection limit exceeded",
        )),
    }
}

/// The answer to a request that may come again in a second.
pub(super) fn later(text: &str) -> Response {
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, text);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // most secrets fit, and the text then never moves
    let mut text = Vec::with_capacity(1024);
    match serde_json::to_writer(&mut text, value) {
        Ok(()) => respond(status, text.into()),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
    }
}

fn text(value: &impl Serialize) -> String {
    // only a map with keys of other types cannot be written
    serde_json::to_string(value).unwrap_or_default()
}

/// A plain text. AWS's agent sends no content type.
pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    respond(status, text.to_owned().into())
}

/// Closes the connection after this answer.
pub(crate) fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// No cache may keep the answer, and no browser may guess its type.
pub(crate) fn respond(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    protect(response.headers_mut());
    response
}

/// The headers for that.
pub(super) fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// Seconds since 1970, to the millisecond, with as few digits as possible.
fn epoch(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = format!("{}.{:03}", since.as_secs(), since.subsec_millis());
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    seconds.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_date_has_the_digits_that_it_takes() {
        for (millis, text) in [
            (1_569_534_789_046, "1569534789.046"),
            (1_569_534_789_500, "1569534789.5"),
            (1_569_534_790_000, "1569534790"),
        ] {
            assert_eq!(epoch(UNIX_EPOCH + Duration::from_millis(millis)), text);
        }
    }
}
