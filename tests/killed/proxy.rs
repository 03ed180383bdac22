//! A way to the database on which each message of the function's is a place where it may be killed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
};

use crate::common::wire;

/// On which side of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The server does not get it.
    Before,
    /// The server has answered it, and the answer does not come.
    After,
}

/// Passes messages on, and stops at the one that it is told.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many messages are still passed on, and where it stops then.
    stop: Mutex<Option<(usize, Side)>>,
    reached: Notify,
}

impl Proxy {
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
        *self.state.stop() = Some((number, side));
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(&self) {
        self.state.reached.notified().await;
    }

    /// Stops nowhere.
    pub(crate) fn clear(&self) {
        *self.state.stop() = None;
    }
}

impl State {
    fn stop(&self) -> MutexGuard<'_, Option<(usize, Side)>> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this message is the one.
    fn stops(&self) -> Option<Side> {
        let mut stop = self.stop();
        match *stop {
            Some((0, side)) => {
                *stop = None;
                Some(side)
            }
            Some((left, side)) => {
                *stop = Some((left - 1, side));
                None
            }
            None => None,
        }
    }
}

/// Until either end is gone, which the other one is told by that.
async fn pass(mut client: TcpStream, server: SocketAddr, state: Arc<State>) -> io::Result<()> {
    let first = wire::startup(&mut client).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = TcpStream::connect(server).await?.into_split();
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
        // a goodbye waits for nothing, and the step may be over by then
        let stops = (message[0] != b'X').then(|| state.stops()).flatten();
        match stops {
            None => server.write_all(&message).await?,
            Some(Side::Before) => {
                state.reached.notify_one();
                return gone(client).await;
            }
            Some(Side::After) => {
                let _ = silenced.send(true);
                server.write_all(&message).await?;
                // what the server does not answer has had its effect when it is there
                if !is_answered(&message) {
                    state.reached.notify_one();
                }
                return gone(client).await;
            }
        }
        message = wire::message(&mut client).await?;
    }
}

/// The startup packet, a password, a query, or the end of several messages.
fn is_answered(message: &[u8]) -> bool {
    matches!(message[0], 0 | b'p' | b'Q' | b'S')
}

/// Waits until the client's process is.
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
            // it asks for a password, is ready again, or has refused
            state.reached.notify_one();
        }
    }
}
