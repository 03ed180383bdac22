//! A proxy in front of the database: it can stop at any message of the function, so that a test can kill the function there; or let the
//! server answer another question than the function's.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use local::{
    postgres::Settings,
    world::{Options, World},
};
use serde_json::json;
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::{change_documents, start, wire};

/// The side of a message on which it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The server does not get it.
    Before,
    /// The server has answered it; the client does not get the answer.
    After,
    /// Neither: the server gets this text instead, in which `{}` is the client's own, and the client gets its answer.
    Instead(&'static str),
}

/// Passes messages on, and stops at a chosen one.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stop: Mutex<Option<(Stop, Side)>>,
    passed: AtomicUsize,
    reached: watch::Sender<bool>,
}

/// Where it stops.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// After so many messages.
    After(usize),
    /// After so many questions (Parse).
    Question(usize),
    /// At the first that ends like this.
    At(&'static str),
}

impl Proxy {
    /// In a new world without TLS, whose logins lead through it.
    pub(crate) async fn in_a_world(options: Options) -> (World, Self) {
        let settings = Settings {
            tls: false,
            ..Settings::default()
        };
        let world = start(options.own_postgres(settings)).await;
        let proxy = Self::before(world.postgres().port()).await;
        change_documents(&world, &json!({ "ssl": false, "port": proxy.port })).await;
        (world, proxy)
    }

    /// In front of the server at this port of this machine.
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("localhost", 0)).await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            state: Arc::default(),
        };
        let state = proxy.state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = SocketAddr::from(([127, 0, 0, 1], server));
                tokio::spawn(pass(client, server, state.clone()));
            }
        });
        proxy
    }

    /// Stops at the message of this number from now on.
    pub(crate) fn stop_at(&self, number: usize, side: Side) {
        self.set(Stop::After(number), side);
    }

    /// Stops at the next query whose text ends like this.
    pub(crate) fn stop_at_query(&self, end: &'static str, side: Side) {
        self.set(Stop::At(end), side);
    }

    /// The question of this number from now on is replaced by this text.
    pub(crate) fn replace(&self, number: usize, text: &'static str) {
        self.set(Stop::Question(number), Side::Instead(text));
    }

    fn set(&self, stop: Stop, side: Side) {
        self.state.reached.send_replace(false);
        *self.state.stop() = Some((stop, side));
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(&self) {
        let mut reached = self.state.reached.subscribe();
        let _ = reached.wait_for(|reached| *reached).await;
    }

    /// The number of messages so far, without Terminate.
    pub(crate) fn passed(&self) -> usize {
        self.state.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn has_stopped(&self) -> bool {
        *self.state.reached.borrow()
    }

    /// Stops nowhere.
    pub(crate) fn clear(&self) {
        *self.state.stop() = None;
    }
}

impl State {
    fn stop(&self) -> MutexGuard<'_, Option<(Stop, Side)>> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The side on which to stop at this message; `None` to pass it on.
    fn stops(&self, message: &[u8]) -> Option<Side> {
        self.passed.fetch_add(1, Ordering::SeqCst);
        let mut stop = self.stop();
        let (at, side) = (*stop)?;
        let is_it = match at {
            Stop::After(left) => {
                *stop = Some((Stop::After(left.saturating_sub(1)), side));
                left == 0
            }
            Stop::Question(left) if message[0] == b'P' => {
                *stop = Some((Stop::Question(left.saturating_sub(1)), side));
                left == 0
            }
            Stop::Question(_) => false,
            // a query's text ends with a zero byte
            Stop::At(end) => message
                .strip_suffix(&[0])
                .is_some_and(|text| text.ends_with(end.as_bytes())),
        };
        is_it.then(|| {
            *stop = None;
            side
        })
    }

    fn is_reached(&self) {
        self.reached.send_replace(true);
    }
}

/// Passes messages until either end closes; this then closes the other end too.
async fn pass(mut client: TcpStream, server: SocketAddr, state: Arc<State>) -> io::Result<()> {
    let first = wire::startup(&mut client).await?;
    let server = TcpStream::connect(server).await?;
    // a login is many small messages
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (silenced, silent) = watch::channel(false);
    let requests = requests(first, from_client, to_server, &state, silenced);
    tokio::select! {
        end = requests => end,
        end = answers(from_server, to_client, &state, silent) => end,
    }
}

async fn requests(
    first: Vec<u8>,
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    state: &State,
    silenced: watch::Sender<bool>,
) -> io::Result<()> {
    let mut message = first;
    loop {
        // Terminate has no answer, and the step may be over by then
        let stops = (message[0] != b'X')
            .then(|| state.stops(&message))
            .flatten();
        match stops {
            None => server.write_all(&message).await?,
            Some(Side::Instead(text)) => {
                state.is_reached();
                server.write_all(&wire::with_text(&message, text)).await?;
            }
            Some(Side::Before) => {
                state.is_reached();
                return gone(client).await;
            }
            Some(Side::After) => {
                let _ = silenced.send(true);
                server.write_all(&message).await?;
                // a message without an answer has its effect on arrival
                if !is_answered(&message) {
                    state.is_reached();
                }
                return gone(client).await;
            }
        }
        message = wire::message(&mut client).await?;
    }
}

/// Whether the server answers it: the startup packet, a password, a query, or Sync.
fn is_answered(message: &[u8]) -> bool {
    matches!(message[0], 0 | b'p' | b'Q' | b'S')
}

/// Waits until the client's process has ended.
async fn gone(mut client: OwnedReadHalf) -> io::Result<()> {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.map(drop)
}

async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    state: &State,
    silent: watch::Receiver<bool>,
) -> io::Result<()> {
    loop {
        let message = wire::message(&mut server).await?;
        if !*silent.borrow() {
            client.write_all(&message).await?;
        } else if matches!(message[0], b'R' | b'Z' | b'E') {
            // Authentication, ReadyForQuery or ErrorResponse
            state.is_reached();
        }
    }
}
