//! The question of a probe, for images that have no other HTTP client: whether the agent that runs here is ready.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header::HOST},
};
use tokio::{net::TcpStream, time::timeout};

use crate::{Error, http};

/// How long the agent may take. It answers at once.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks `/ready` on this port of 127.0.0.1.
///
/// # Errors
///
/// No agent answers there, or a required file is missing.
pub async fn ask(port: u16) -> Result<(), Error> {
    let reason = match timeout(WITHIN, answer(port)).await {
        Ok(Ok((StatusCode::OK, _))) => return Ok(()),
        Ok(Ok((_, text))) => text,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {WITHIN:?}"),
    };
    Err(Error::Probed { port, reason })
}

async fn answer(
    port: u16,
) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = Request::get("/ready").header(HOST, "localhost");
    let response = http::ask(stream, request.body(Body::empty())?).await?;
    // any program may listen there, and the answer goes to a terminal
    let text = response.body().replace(char::is_control, " ");
    Ok((response.status(), text))
}
