//! The port of the metrics: `GET /metrics`, without a token. It has its own connections, so that a crowd there takes no place at the
//! agent's port.

use std::sync::Arc;

use axum::{
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE, request::Parts},
    response::Response,
};

use super::{Listeners, listen::Stream, next, serve::serve};
use crate::{
    Agent, Error,
    connections::{Connection, Connections},
    doors::{self, Refused},
    settings::Settings,
    telemetry::Telemetry,
    wire::{plain, refused, respond},
};

/// The version of Prometheus's text.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics behind their port.
pub struct Metrics {
    listeners: Listeners,
    telemetry: Telemetry,
}

impl Metrics {
    /// Binds the port and collects from now on, if the settings have one.
    ///
    /// # Errors
    ///
    /// The port is in use, or this process already has a recorder.
    pub async fn bind(settings: &Settings) -> Result<Option<Self>, Error> {
        let Some(port) = settings.metrics_port else {
            return Ok(None);
        };
        let metrics = Self {
            listeners: Listeners::loopback(port, "metrics_port").await?,
            telemetry: Telemetry::install(&Refused::ALL.map(Refused::name))
                .map_err(Error::Telemetry)?,
        };
        let port = metrics.listeners.port().unwrap_or(port);
        tracing::info!("metrics are at http://localhost:{port}/metrics");
        Ok(Some(metrics))
    }

    /// Answers until it is dropped. `connections` are those at the agent's port.
    pub(super) async fn run(self, agent: Arc<Agent>, connections: Connections) {
        let (mut listeners, telemetry) = (self.listeners, Arc::new(self.telemetry));
        // none shows a token: the oldest is cut when there is no room
        let guests = Connections::new(0);
        loop {
            let (room, Stream::Port(stream)) = next(&guests, &mut listeners).await else {
                continue;
            };
            guests.run(room, None, |connection| {
                let (agent, connections, telemetry) =
                    (agent.clone(), connections.clone(), telemetry.clone());
                let served = serve(stream, move |request| {
                    // no route reads a body
                    let (head, _) = request.into_parts();
                    let text = || telemetry.render(&agent, &connections);
                    std::future::ready(answer(&agent, &connection, &head, text))
                });
                async move {
                    let _ = served.await;
                }
            });
        }
    }
}

fn answer(
    agent: &Agent,
    connection: &Connection,
    request: &Parts,
    text: impl FnOnce() -> String,
) -> Response {
    if let Err(reason) = doors::is_local(request, &agent.access(), connection) {
        return refused(reason);
    }
    if request.uri.path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "Not found");
    }
    if request.method != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "Not allowed");
    }
    let mut response = respond(StatusCode::OK, text().into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}
