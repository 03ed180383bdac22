//! What the agent listens on: one port of both loopback addresses, and unix sockets.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
};

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::socket::Socket;
use crate::{Error, asker::Peer, settings::Settings};

/// How often to choose a free port, until it is free on both addresses.
const TRIES: usize = 100;

/// All that the agent listens on.
pub struct Listeners {
    ports: Vec<TcpListener>,
    sockets: Vec<Socket>,
    /// Which of them is asked first: a crowd at one does not keep out the others.
    first: usize,
}

/// A new connection.
pub(super) enum Stream {
    Port(TcpStream),
    Socket(UnixStream, Peer),
}

impl Listeners {
    /// Binds them all.
    ///
    /// # Errors
    ///
    /// The port or a socket is in use, or another user could replace a socket.
    pub async fn bind(settings: &Settings) -> Result<Self, Error> {
        let mut all = Self::loopback(settings.port, "http_port").await?;
        for socket in &settings.sockets {
            all.sockets.push(Socket::bind(socket).await?);
        }
        Ok(all)
    }

    /// Binds a port alone.
    pub(super) async fn loopback(port: u16, setting: &'static str) -> Result<Self, Error> {
        Ok(Self {
            ports: loopback(port, setting).await?,
            sockets: Vec::new(),
            first: 0,
        })
    }

    pub(super) fn port(&self) -> Option<u16> {
        let address = self.ports.first()?.local_addr();
        address.ok().map(|address| address.port())
    }

    pub(super) async fn accept(&mut self) -> io::Result<Stream> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let (ports, all) = (self.ports.len(), self.ports.len() + self.sockets.len());
        for offset in 0..all {
            let at = (self.first + offset) % all;
            let accepted = match at.checked_sub(ports) {
                None => self.ports[at]
                    .poll_accept(context)
                    .map_ok(|(stream, _)| Stream::Port(stream)),
                Some(at) => self.sockets[at]
                    .poll_accept(context)
                    .map_ok(|(stream, peer)| Stream::Socket(stream, peer)),
            };
            if accepted.is_ready() {
                self.first = at + 1;
                return accepted;
            }
        }
        Poll::Pending
    }
}

/// Listens on this port of 127.0.0.1, and of [::1] if the machine has it. 0 is any port that is free on both.
///
/// # Errors
///
/// Another process has the port. If that is the port of [::1] alone, the process would get requests, with their tokens, that programs
/// send to `localhost`.
async fn loopback(port: u16, setting: &'static str) -> Result<Vec<TcpListener>, Error> {
    let failed = |address, source| Error::Port {
        address,
        setting,
        source,
    };
    let mut tries = TRIES;
    loop {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let bound = TcpListener::bind(address).await;
        let first = bound.map_err(|source| failed(address, source))?;
        let bound = first
            .local_addr()
            .map_err(|source| failed(address, source))?;
        let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), bound.port());
        match TcpListener::bind(address).await {
            Ok(second) => return Ok(vec![first, second]),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                tries -= 1;
                if port != 0 || tries == 0 {
                    return Err(failed(address, error));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "this machine has no [::1]: the agent listens on 127.0.0.1 alone");
                return Ok(vec![first]);
            }
        }
    }
}
