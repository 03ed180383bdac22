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

use crate::{Agent, sdk, wire};

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
        let mut sweep = interval(SWEEP);
        let mut ended = std::pin::pin!(ended);
        loop {
            let stream = tokio::select! {
                () = &mut ended => break,
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
