//! One request to a server on this machine: to the agent that runs here, or to Lambda.

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// How many bytes of an answer are read.
const MOST: usize = 64 * 1024;

/// Sends it on a new connection, and reads the whole answer.
pub(crate) async fn ask<S>(
    stream: S,
    request: Request<Body>,
) -> Result<Response<String>, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let text = to_bytes(Body::new(body), MOST).await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Response::from_parts(head, text))
}
