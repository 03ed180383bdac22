//! One connection: its timeouts, and its requests.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use futures_util::{FutureExt, future::Either};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;

use super::half_closed::HalfClosed;
use crate::{
    Agent,
    connections::Connection,
    sdk,
    wire::{self, Answering},
};

/// How long a head may take, and how long a kept connection may be silent.
const HEAD: Duration = Duration::from_secs(60);

/// How long a request may take. No upstream call takes so long.
const REQUEST: Duration = Duration::from_secs(30);

/// How long an answer waits for its reader.
const UNREAD: Duration = Duration::from_secs(30);

/// The longest head: a session token has several kilobytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// Serves a connection to the agent's port or to a socket.
pub(super) fn serve_agent<S>(
    stream: S,
    agent: Arc<Agent>,
    connection: Arc<Connection>,
) -> impl GracefulConnection<Error = hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let stream = HalfClosed::new(stream, connection.clone());
    serve(stream, move |request| respond(&agent, &connection, request))
}

/// Serves a connection with these answers.
pub(super) fn serve<S, F>(
    stream: S,
    answer: impl Fn(Request<Incoming>) -> F,
) -> impl GracefulConnection<Error = hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Future<Output = Response>,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let service = service_fn(move |request| answer(request).map(Ok::<_, Infallible>));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // a short answer costs less in one piece
        .writev(false)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}

fn respond(
    agent: &Arc<Agent>,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> Answering {
    if sdk::is_call(&request) {
        let (agent, connection) = (agent.clone(), connection.clone());
        let request = request.map(Body::new);
        let answer = async move { sdk::answer(&agent, &connection, request).await };
        return limited(answer);
    }
    // no route reads a body
    let (head, _) = request.into_parts();
    match wire::answer(agent, connection, head) {
        Either::Left(ready) => Either::Left(ready),
        Either::Right(answer) => limited(answer),
    }
}

fn limited(answer: impl Future<Output = Response> + Send + 'static) -> Answering {
    let answer =
        timeout(REQUEST, answer).map(|answer| answer.unwrap_or_else(|_| wire::timed_out()));
    Either::Right(Box::pin(answer))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use local::secrets_manager::{Behavior, Fault, Hang, When};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        sync::Semaphore,
        task::{JoinHandle, yield_now},
        time::{Instant, sleep},
    };

    use super::*;
    use crate::{connections::Connections, settings::Settings, upstream::Upstream};

    const TOKEN: &str = "the-t0ken-of-these-tests";
    const PING: &[u8] = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// A connection to an agent without an upstream, in paused time.
    fn connection() -> (DuplexStream, JoinHandle<()>) {
        let agent = Agent::of(TOKEN, Upstream::none(), Settings::default());
        serving(agent, 4096)
    }

    /// A connection to this agent, with this much room for what its client does not read.
    fn serving(agent: Arc<Agent>, room: usize) -> (DuplexStream, JoinHandle<()>) {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (client, server) = duplex(room);
        let (tell, told) = std::sync::mpsc::channel();
        Connections::new(1).run(permit, None, |connection| {
            let _ = tell.send(connection);
            async {}
        });
        let serving = serve_agent(server, agent, told.recv().unwrap());
        let served = tokio::spawn(async move {
            let _ = serving.await;
        });
        (client, served)
    }

    async fn end(client: &mut DuplexStream) -> (Duration, String) {
        let (began, mut said) = (Instant::now(), Vec::new());
        client.read_to_end(&mut said).await.unwrap();
        (began.elapsed(), String::from_utf8(said).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_a_byte_at_a_time_ends_its_connection() {
        let (mut client, _) = connection();
        client
            .write_all(b"GET /ping HTTP/1.1\r\nHost: ")
            .await
            .unwrap();
        let (after, _) = end(&mut client).await;
        assert_eq!(after, HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_ends_its_request() {
        let (mut client, _) = connection();
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\
             X-Amz-Security-Token: the-t0ken-of-these-tests\r\nContent-Length: 10\r\n\r\n{";
        client.write_all(head.as_bytes()).await.unwrap();
        let (after, said) = end(&mut client).await;
        assert_eq!(after, REQUEST);
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_nobody_reads_end_their_connection() {
        let (mut client, served) = connection();
        let began = Instant::now();
        let flood = async {
            // until the agent takes no more
            while client.write_all(PING).await.is_ok() {}
        };
        let (_, ended) = tokio::join!(flood, served);
        ended.unwrap();
        assert_eq!(began.elapsed(), UNREAD);
    }

    #[tokio::test]
    async fn a_stream_of_changes_that_nobody_reads_ends_its_connection() {
        let (agent, _service) = Agent::with_a_secret(TOKEN, Settings::default()).await;
        let (mut client, served) = serving(agent, 64);
        let head = format!(
            "GET /rotating-secret/changes?secretId=orders/db HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {TOKEN}\r\n\
             Accept: text/event-stream\r\n\r\n"
        );
        tokio::time::pause();
        let began = Instant::now();
        client.write_all(head.as_bytes()).await.unwrap();
        served.await.unwrap();
        // a timer's grain is a millisecond
        assert_eq!(began.elapsed().as_secs(), UNREAD.as_secs());
    }

    /// An agent with the secrets `orders/db`, which it has read, and `stock/db`; the first read of that hangs.
    async fn agent_with_a_hanging_read() -> (Arc<Agent>, Hang) {
        let (agent, service) = Agent::with_a_secret(TOKEN, Settings::default()).await;
        let input = serde_json::json!({ "Name": "stock/db", "SecretString": "two" });
        service.call("CreateSecret", input).await.unwrap();
        let mut client = connect(&Connections::new(1), &agent).await;
        client.write_all(&get("orders/db")).await.unwrap();
        client.shutdown().await.unwrap();
        end(&mut client).await;
        let hang = Hang::default();
        let hangs = Behavior::Hang(When::BeforeEffect, hang.clone());
        service.inject(Fault::on("GetSecretValue", hangs));
        (agent, hang)
    }

    /// A connection to the agent, as the server runs it.
    async fn connect(connections: &Connections, agent: &Arc<Agent>) -> DuplexStream {
        let (client, server) = duplex(4096);
        let (open, agent) = (connections.room().await.unwrap(), agent.clone());
        connections.run(open, None, |connection| {
            let serving = serve_agent(server, agent, connection);
            async { drop(serving.await) }
        });
        client
    }

    fn get(secret: &str) -> Vec<u8> {
        format!("GET /v1/{secret} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {TOKEN}\r\n\r\n")
            .into()
    }

    #[tokio::test]
    async fn a_client_that_says_no_more_gives_its_place_to_others_and_still_gets_its_answer() {
        let (agent, hang) = agent_with_a_hanging_read().await;
        let connections = Connections::new(1);
        let mut client = connect(&connections, &agent).await;
        client.write_all(&get("stock/db")).await.unwrap();
        hang.reached().await;
        assert_eq!(connections.count(), (1, 0));
        client.shutdown().await.unwrap();
        while connections.count() != (0, 1) {
            assert_eq!(connections.count(), (1, 0), "it was served");
            yield_now().await;
        }
        // clients without a right do not take its room either
        for _ in 0..100 {
            let room = connections.room().await.unwrap();
            connections.run(room, None, async |_connection| pending().await);
        }
        hang.release();
        let (_, said) = end(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }

    #[tokio::test]
    async fn clients_that_say_no_more_leave_room_for_a_new_one() {
        let (agent, hang) = agent_with_a_hanging_read().await;
        let connections = Connections::new(1);
        let mut silent = Vec::new();
        while silent.len() < 16 {
            let mut client = connect(&connections, &agent).await;
            client.write_all(&get("stock/db")).await.unwrap();
            while connections.count() != (1, silent.len()) {
                yield_now().await;
            }
            client.shutdown().await.unwrap();
            silent.push(client);
            while connections.count() != (0, silent.len()) {
                yield_now().await;
            }
        }
        // the last room; the server waits for the next one at once
        let mut client = connect(&connections, &agent).await;
        let asked = async {
            client.write_all(&get("orders/db")).await.unwrap();
            client.shutdown().await.unwrap();
            end(&mut client).await
        };
        let (room, (_, said)) = tokio::join!(connections.room(), asked);
        assert!(room.is_some() && said.starts_with("HTTP/1.1 200"), "{said}");
        hang.release();
        // the others are still answered
        let (_, said) = end(&mut silent[15]).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_connection_that_is_used_is_never_cut_and_a_silent_one_is() {
        let (mut client, _) = connection();
        for _ in 0..20 {
            client.write_all(PING).await.unwrap();
            let mut answer = [0; 512];
            let length = client.read(&mut answer).await.unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
            sleep(HEAD / 2).await;
        }
        let (after, _) = end(&mut client).await;
        assert_eq!(after, HEAD / 2);
    }
}
