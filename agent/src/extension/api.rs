//! The part of Lambda's Extensions API that an external extension uses.
//!
//! Source: "Using the Lambda Extensions API to create extensions" in Lambda's developer guide (runtimes-extensions-api).

use axum::{
    body::Body,
    http::{
        HeaderValue, Method, Request, Response, StatusCode,
        header::{CONTENT_TYPE, HOST},
    },
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{Error, http};

const IDENTIFIER: &str = "lambda-extension-identifier";

/// What Lambda has to say.
pub(super) enum Event {
    Invoke,
    Shutdown,
}

/// A registered extension.
pub(super) struct Registered {
    /// Host and port of the API.
    address: String,
    /// Lambda's name for this process.
    id: HeaderValue,
}

impl Registered {
    /// Registers for these events. `name` is the name of the file that Lambda has started.
    pub(super) async fn register(
        address: &str,
        name: &str,
        events: &[&str],
    ) -> Result<Self, Error> {
        let events = json!({ "events": events });
        let name = ("lambda-extension-name", name);
        let answer = call(address, Method::POST, "register", &[name], &events).await;
        let registered = answer.and_then(|answer| {
            let id = answer.headers().get(IDENTIFIER).cloned();
            id.ok_or_else(|| "an answer without an identifier".to_owned())
        });
        match registered {
            Ok(id) => Ok(Self {
                address: address.to_owned(),
                id,
            }),
            Err(reason) => Err(Error::NotRegistered { reason }),
        }
    }

    /// Reports that the extension is ready, and waits for the next event. It may take hours: there is no time limit.
    pub(super) async fn next(&self) -> Result<Event, Error> {
        let answer = self
            .call(Method::GET, "event/next", &[], &Value::Null)
            .await;
        let answer = answer.map_err(|reason| Error::NoEvent { reason })?;
        let event: Value = serde_json::from_str(answer.body()).unwrap_or_default();
        match event["eventType"].as_str() {
            Some("INVOKE") => Ok(Event::Invoke),
            Some("SHUTDOWN") => Ok(Event::Shutdown),
            // it would come again at once
            _ => Err(Error::NoEvent {
                reason: "an event that is neither INVOKE nor SHUTDOWN".to_owned(),
            }),
        }
    }

    /// Reports why the extension does not start (`init`), or ends (`exit`).
    pub(super) async fn report(&self, when: &str, kind: &str, error: &Error) {
        let body =
            json!({ "errorType": kind, "errorMessage": error.to_string(), "stackTrace": [] });
        let kind = ("lambda-extension-function-error-type", kind);
        let path = format!("{when}/error");
        if let Err(reason) = self.call(Method::POST, &path, &[kind], &body).await {
            tracing::warn!(reason, "Lambda did not take the report of an error");
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Response<String>, String> {
        let id = self.id.to_str().unwrap_or_default();
        let headers = [headers, &[(IDENTIFIER, id)]].concat();
        call(&self.address, method, path, &headers, body).await
    }
}

/// Sends a request. Anything but success is an error, with the text of the answer. Each request has its own connection: one that was
/// kept would be dead after a freeze or a snapshot.
async fn call(
    address: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<Response<String>, String> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/2020-01-01/extension/{path}"))
        .header(HOST, address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Value::Null => Body::empty(),
        body => {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
    };
    let request = request.body(body).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let answer = http::ask(stream, request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    match answer.status() {
        StatusCode::OK | StatusCode::ACCEPTED => Ok(answer),
        status => Err(format!("{status} {}", answer.body().trim())),
    }
}
