//! Connections: how many, how long, and how they end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header::CONNECTION},
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{interval, sleep, timeout},
};

use crate::{Agent, sdk, store::BETWEEN, wire};

/// Connections above the limit, each of which is told so once.
const REFUSED: usize = 16;

/// How long a head may take; and how long a kept connection may be silent.
const HEAD: Duration = Duration::from_secs(60);

/// How long a request may take: no upstream call takes so long.
const REQUEST: Duration = Duration::from_secs(30);

/// The longest head: a session token has some kilobytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// How often it is looked for what nobody reads.
const SWEEP: Duration = Duration::from_secs(5);

/// How long the end waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);

/// The agent behind its port.
pub struct Server {
    listener: TcpListener,
    agent: Arc<Agent>,
}

impl Server {
    /// On this listener.
    pub fn new(listener: TcpListener, agent: Arc<Agent>) -> Self {
        Self { listener, agent }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        let address = self.listener.local_addr();
        address.map_or(self.agent.settings.port, |address| address.port())
    }

    /// What it serves from.
    pub fn agent(&self) -> Arc<Agent> {
        self.agent.clone()
    }

    /// Serves until this ends, and lets what is under way finish.
    pub async fn run(self, ended: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let served = Arc::new(Semaphore::new(self.agent.settings.connections));
        let refused = Arc::new(Semaphore::new(REFUSED));
        let (mut sweep, mut pulse) = (interval(SWEEP), interval(BETWEEN));
        let mut ended = std::pin::pin!(ended);
        loop {
            let stream = tokio::select! {
                () = &mut ended => break,
                _ = pulse.tick() => {
                    self.agent.store.feel();
                    continue;
                }
                _ = sweep.tick() => {
                    self.agent.store.sweep();
                    continue;
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // no descriptor is free: one will be
                        tracing::warn!(%error, "a connection was not accepted");
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            // answers are small, and wait for no other
            let _ = stream.set_nodelay(true);
            let permit = |of: &Arc<Semaphore>| of.clone().try_acquire_owned().ok();
            let (permit, is_full) = match permit(&served) {
                Some(permit) => (permit, false),
                None => match permit(&refused) {
                    Some(permit) => (permit, true),
                    None => continue,
                },
            };
            let connection = serve(stream, self.agent.clone(), is_full, permit);
            tokio::spawn(graceful.watch(connection));
        }
        let _ = timeout(DRAIN, graceful.shutdown()).await;
    }
}

fn serve<S>(
    stream: S,
    agent: Arc<Agent>,
    is_full: bool,
    permit: OwnedSemaphorePermit,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let permit = Arc::new(permit);
    let service = service_fn(move |request: Request<Incoming>| {
        let (agent, permit) = (agent.clone(), permit.clone());
        async move {
            let _held = permit;
            let request = request.map(Body::new);
            Ok::<_, Infallible>(match is_full {
                true => closing(wire::full(&request)),
                false => respond(&agent, request).await,
            })
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
}

async fn respond(agent: &Agent, request: Request) -> Response {
    let answered = async {
        if sdk::is_call(&request) {
            return sdk::answer(agent, request).await;
        }
        // no route reads a body
        let (head, _) = request.into_parts();
        wire::answer(agent, &head).await
    };
    let answer = timeout(REQUEST, answered).await;
    answer.unwrap_or_else(|_| closing(wire::timed_out()))
}

/// The last answer on its connection.
fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::Instant,
    };

    use super::*;
    use crate::{settings::Settings, store::Store, token::Token};
    use rotating_secret::provider::Aws;

    /// A connection to an agent without an upstream, in paused time.
    fn connection() -> DuplexStream {
        let settings = Settings::default();
        let agent = Agent {
            token: Token::of("the-t0ken-of-these-tests"),
            store: Store::new(Aws::from_clients([]), &settings),
            settings,
        };
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (client, server) = duplex(4096);
        let connection = serve(server, Arc::new(agent), false, permit);
        tokio::spawn(connection);
        client
    }

    async fn end(client: &mut DuplexStream) -> (Duration, String) {
        let (began, mut said) = (Instant::now(), Vec::new());
        client.read_to_end(&mut said).await.unwrap();
        (began.elapsed(), String::from_utf8(said).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_a_byte_at_a_time_ends_its_connection() {
        let mut client = connection();
        client
            .write_all(b"GET /ping HTTP/1.1\r\nHost: ")
            .await
            .unwrap();
        let (after, _) = end(&mut client).await;
        assert_eq!(after, HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_ends_its_request() {
        let mut client = connection();
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\
             X-Amz-Security-Token: the-t0ken-of-these-tests\r\nContent-Length: 10\r\n\r\n{";
        client.write_all(head.as_bytes()).await.unwrap();
        let (after, said) = end(&mut client).await;
        assert_eq!(after, REQUEST);
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_connection_that_is_used_is_never_cut() {
        let mut client = connection();
        let ping = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for _ in 0..20 {
            client.write_all(ping).await.unwrap();
            let mut answer = [0; 512];
            let length = client.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
            sleep(HEAD / 2).await;
        }
    }
}
