//! A TCP connection to a host that may have several addresses.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

/// How long one address is tried alone, as RFC 8305 recommends.
const ALONE: Duration = Duration::from_millis(250);

/// Connects to the first address of the host that answers.
///
/// An address without an answer must not use up the time of the others: after a failover, or with an interface that was
/// detached, DNS may still name it first.
pub(super) async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = lookup_host((host, port)).await;
    // a process that may open no more files gets "no such name" from the resolver
    let addresses = addresses.map_err(|error| TcpSocket::new_v4().err().unwrap_or(error))?;
    first_of(addresses).await
}

async fn first_of(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        match timeout(ALONE, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = error.into(),
            Ok(None) => return Err(last),
            // the next address is tried at the same time
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn bound() -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket
    }

    /// An address that drops packets, as one does whose host is gone: its queue is full, and nobody accepts.
    async fn dead() -> (TcpListener, Vec<TcpStream>) {
        let listener = bound().listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = timeout(ALONE, TcpStream::connect(address)).await {
            queue.push(stream.unwrap());
        }
        (listener, queue)
    }

    #[tokio::test]
    async fn a_dead_or_refusing_address_does_not_block_the_next_one() {
        let ((full, _queue), unheard) = (dead().await, bound());
        let (dead, closed) = (full.local_addr().unwrap(), unheard.local_addr().unwrap());
        let listener = bound().listen(8).unwrap();
        let alive = listener.local_addr().unwrap();
        for before in [vec![dead], vec![closed], vec![dead, closed, dead]] {
            let reached = first_of(before.into_iter().chain([alive])).await;
            assert_eq!(reached.unwrap().peer_addr().unwrap(), alive);
        }
    }

    #[tokio::test]
    async fn if_every_address_refuses_that_is_the_error() {
        let closed = bound();
        let address = closed.local_addr().unwrap();
        let refused = first_of([address, address]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let nowhere = first_of([]).await.unwrap_err();
        assert_eq!(nowhere.kind(), io::ErrorKind::NotFound);
    }
}
