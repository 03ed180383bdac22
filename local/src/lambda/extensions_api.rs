//! The Lambda Extensions API: `register`, `next`, `init/error` and `exit/error`.
//!
//! Sources: "Using the Lambda Extensions API to create extensions" in Lambda's developer guide, and for the errors, which that page
//! does not list, the handlers of AWS's runtime interface emulator (`internal/lambda/rapi/handler`).

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, watch};
use uuid::Uuid;

use super::FunctionSettings;
use crate::invocation::FunctionError;

/// The value of `AWS_LAMBDA_INITIALIZATION_TYPE` on Lambda Managed Instances, which have no INVOKE for extensions.
const MANAGED: &str = "lambda-managed-instances";

const IDENTIFIER: &str = "lambda-extension-identifier";

/// What an extension has said so far.
pub(super) struct Extension {
    /// The name of its file.
    name: String,
    id: String,
    /// The events that it registered for, once it has.
    events: Option<Vec<String>>,
    /// How many events it has asked for, and how many it was sent.
    asked: u64,
    sent: u64,
    failed: Option<FunctionError>,
    queue: mpsc::UnboundedSender<Value>,
}

impl Extension {
    pub(super) fn is_registered(&self) -> bool {
        self.events.is_some()
    }

    /// Whether it waits for an event: it has finished the one before.
    pub(super) fn waits(&self) -> bool {
        self.asked > self.sent
    }
}

/// The API for the extensions of one environment, and the host's end of it.
#[derive(Clone)]
pub(super) struct ExtensionsApi(Arc<Shared>);

struct Shared {
    function: String,
    is_managed: bool,
    all: watch::Sender<Vec<Extension>>,
    queues: Vec<Mutex<mpsc::UnboundedReceiver<Value>>>,
}

impl ExtensionsApi {
    /// Accepts the extensions with these names, for this function.
    pub(super) fn new(
        function: &FunctionSettings,
        names: impl IntoIterator<Item = String>,
    ) -> Self {
        let (mut all, mut queues) = (Vec::new(), Vec::new());
        for name in names {
            let (queue, queue_out) = mpsc::unbounded_channel();
            queues.push(Mutex::new(queue_out));
            all.push(Extension {
                name,
                id: Uuid::new_v4().to_string(),
                events: None,
                asked: 0,
                sent: 0,
                failed: None,
                queue,
            });
        }
        Self(Arc::new(Shared {
            function: function.name.clone(),
            is_managed: function.env.iter().any(|(_, value)| value == MANAGED),
            all: watch::Sender::new(all),
            queues,
        }))
    }

    pub(super) fn router(&self) -> Router {
        Router::new()
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(next))
            .route("/2020-01-01/extension/init/error", post(init_error))
            .route("/2020-01-01/extension/exit/error", post(exit_error))
            .with_state(self.clone())
    }

    /// Sends the event to all that registered for its type.
    pub(super) fn send(&self, event: &Value) {
        let kind = event["eventType"].as_str().unwrap_or_default();
        self.0.all.send_modify(|all| {
            for extension in all {
                let events = extension.events.iter().flatten();
                if events.into_iter().any(|named| named == kind) {
                    extension.sent += 1;
                    // the other end lives as long as this one
                    let _ = extension.queue.send(event.clone());
                }
            }
        });
    }

    /// Waits until this is true of all.
    pub(super) async fn all(&self, is: fn(&Extension) -> bool) {
        let mut all = self.0.all.subscribe();
        // the sender lives as long as `self`
        let _ = all.wait_for(|all| all.iter().all(is)).await;
    }

    /// Waits until one reports an error.
    pub(super) async fn failed(&self) -> FunctionError {
        let mut all = self.0.all.subscribe();
        let found = |all: &Vec<Extension>| all.iter().find_map(|one| one.failed.clone());
        let failed = all.wait_for(|all| found(all).is_some()).await;
        match failed.ok().and_then(|all| found(&all)) {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Finds a registered extension by the id in its request.
    fn find(&self, headers: &HeaderMap) -> Result<usize, Refused> {
        let Some(id) = text(headers, IDENTIFIER) else {
            let said = "Lambda-Extension-Identifier not found";
            return Err(("Extension.MissingHeader", said.to_owned()));
        };
        let all = self.0.all.borrow();
        let mut extensions = all.iter();
        let found = extensions.position(|one| one.id == id && one.is_registered());
        let Some(found) = found else {
            let said = format!("Unknown extension {id}");
            return Err(("Extension.UnknownExtensionIdentifier", said));
        };
        match &all[found].failed {
            None => Ok(found),
            Some(error) => Err(("Extension.InvalidExtensionState", error.to_string())),
        }
    }

    fn fail(&self, kind: &str, headers: &HeaderMap, body: &[u8]) -> Response {
        let found = match self.find(headers) {
            Ok(found) => found,
            Err((kind, said)) => return forbidden(kind, &said),
        };
        let Some(reason) = text(headers, "lambda-extension-function-error-type") else {
            let said = "Lambda-Extension-Function-Error-Type not found";
            return forbidden("Extension.MissingHeader", said);
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let told = body["errorMessage"].as_str().unwrap_or_default();
        self.0.all.send_modify(|all| {
            let extension = &mut all[found];
            extension.failed = Some(FunctionError {
                error_type: kind.to_owned(),
                error_message: format!("{}: {reason}: {told}", extension.name),
            });
        });
        (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
    }
}

/// The type of an error, and its text.
type Refused = (&'static str, String);

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    events: Vec<String>,
}

async fn register(State(api): State<ExtensionsApi>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(name) = text(&headers, "lambda-extension-name").filter(|name| !name.is_empty()) else {
        return forbidden("Extension.InvalidExtensionName", "Empty extension name");
    };
    let events = match serde_json::from_slice(&body) {
        Ok(Registration { events }) => events,
        Err(error) => return forbidden("InvalidRequestFormat", &error.to_string()),
    };
    let is_known = |event: &String| match &**event {
        "INVOKE" => !api.0.is_managed,
        event => event == "SHUTDOWN",
    };
    let found = api.0.all.borrow().iter().position(|one| one.name == name);
    let Some(found) = found else {
        // Lambda reads an unknown name as one of the function's own process, which may not register for SHUTDOWN
        let said = format!("{name} is no file of the extensions' folder");
        return forbidden("Extension.InvalidEventType", &said);
    };
    if let Some(event) = events.iter().find(|event| !is_known(event)) {
        return forbidden("Extension.InvalidEventType", event);
    }
    let mut id = None;
    api.0.all.send_modify(|all| {
        let extension = &mut all[found];
        if extension.events.is_none() {
            extension.events = Some(events);
            id = Some(extension.id.clone());
        }
    });
    match id {
        Some(id) => {
            let function = json!({
                "functionName": api.0.function, "functionVersion": "$LATEST", "handler": "bootstrap",
            });
            ([(IDENTIFIER, id)], Json(function)).into_response()
        }
        None => forbidden("Extension.InvalidExtensionState", "registered already"),
    }
}

async fn next(State(api): State<ExtensionsApi>, headers: HeaderMap) -> Response {
    let found = match api.find(&headers) {
        Ok(found) => found,
        Err((kind, said)) => return forbidden(kind, &said),
    };
    api.0.all.send_modify(|all| all[found].asked += 1);
    match api.0.queues[found].lock().await.recv().await {
        Some(event) => Json(event).into_response(),
        None => StatusCode::GONE.into_response(), // the host is stopping
    }
}

async fn init_error(State(api): State<ExtensionsApi>, headers: HeaderMap, body: Bytes) -> Response {
    api.fail("Extension.InitError", &headers, &body)
}

async fn exit_error(State(api): State<ExtensionsApi>, headers: HeaderMap, body: Bytes) -> Response {
    api.fail("Extension.ExitError", &headers, &body)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn forbidden(error_type: &str, said: &str) -> Response {
    let body = json!({ "errorType": error_type, "errorMessage": said });
    (StatusCode::FORBIDDEN, Json(body)).into_response()
}
