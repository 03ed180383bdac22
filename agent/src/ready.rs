//! The question of a probe, for images that have no other HTTP client: whether the agent that runs here is ready.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header::HOST},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::Error;

/// How long the agent may take. It answers at once.
const WITHIN: Duration = Duration::from_secs(5);

/// How many bytes of its answer are read: the paths of the files that are missing.
const MOST: usize = 64 * 1024;

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
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/ready").header(HOST, "localhost");
    let response = sender.send_request(request.body(Body::empty())?).await?;
    let status = response.status();
    let text = to_bytes(Body::new(response.into_body()), MOST).await?;
    // any program may listen there, and the answer goes to a terminal
    let text = String::from_utf8_lossy(&text).replace(char::is_control, " ");
    Ok((status, text))
}
