//! A server with TLS that counts connections and records every byte. It is a foreign server that must receive nothing, or a
//! service whose requests a test compares.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::stub::Certificate;

/// A running recorder on 127.0.0.1, and on ::1 if this machine has it. It ends with the runtime.
pub struct Recorder {
    port: u16,
    ca: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl Recorder {
    /// Answers every request with HTTP 200 and this JSON, on a free port. The certificate is valid for these names.
    ///
    /// # Errors
    ///
    /// There is no port, or no certificate.
    pub async fn start(names: &[&str], answer: &str) -> io::Result<Self> {
        let certificate = Certificate::new(names)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let answer: Arc<str> = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .into();
        let other = TcpListener::bind(("::1", port)).await.ok();
        for listener in [Some(listener), other].into_iter().flatten() {
            let (acceptor, seen, answer) = (certificate.acceptor()?, seen.clone(), answer.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    lock(&seen).connections += 1;
                    let (acceptor, seen, answer) = (acceptor.clone(), seen.clone(), answer.clone());
                    tokio::spawn(async move { serve(stream, acceptor, &seen, &answer).await });
                }
            });
        }
        let ca = certificate.pem();
        Ok(Self { port, ca, seen })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its certificate, as PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The number of connections, with or without a request.
    pub fn connections(&self) -> usize {
        lock(&self.seen).connections
    }

    /// The requests since the last call, head and body unchanged.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.seen).requests)
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection until the other side closes it.
async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    seen: &Mutex<Seen>,
    answer: &str,
) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut received = Vec::new();
    loop {
        while let Some(end) = request_end(&received) {
            let request: Vec<u8> = received.drain(..end).collect();
            let request = String::from_utf8_lossy(&request).into_owned();
            lock(seen).requests.push(request);
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// The end of the first request, if it is complete.
fn request_end(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&received[..head]).to_lowercase();
    let length = text.split("content-length:").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
    let end = head + length.unwrap_or(0);
    (received.len() >= end).then_some(end)
}
