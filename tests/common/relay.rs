//! A relay to a server: a test can switch it to another server, close its connections, or make them silent.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// What happens to the open connections; later ones are not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Both ends see the connection close.
    Closed,
    /// Half-open: neither end receives anything more.
    Silent,
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    server: Arc<AtomicU16>,
    fate: watch::Sender<Fate>,
    task: AbortHandle,
}

impl Relay {
    /// To the server at this port of this machine.
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (server, fate) = (
            Arc::new(AtomicU16::new(server)),
            watch::Sender::new(Fate::Closed),
        );
        let (led, fates) = (server.clone(), fate.clone());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = SocketAddr::from(([127, 0, 0, 1], led.load(Ordering::SeqCst)));
                tokio::spawn(pass(client, server, fates.subscribe()));
            }
        });
        Self {
            port,
            server,
            fate,
            task: task.abort_handle(),
        }
    }

    /// New connections lead to the server at this port.
    pub(crate) fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    pub(crate) fn close_all(&self) {
        self.fate.send_replace(Fate::Closed);
    }

    pub(crate) fn silence_all(&self) {
        self.fate.send_replace(Fate::Silent);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, mut fate: watch::Receiver<Fate>) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    // a login is many small messages
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            // an error says that the relay is gone
            Ok(()) = fate.changed() => {
                if *fate.borrow() == Fate::Silent {
    // held open, without reading
                    while fate.changed().await.is_ok() {}
                }
            }
        }
}
