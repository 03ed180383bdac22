//! The network from this machine to the server. The function may be in another network.

use std::{io, time::Duration};

use secret_rotation::document::Document;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::finding::{Cure, Verdict};
use crate::shell::Shell;

/// How long a name, a connection or a login may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the name resolves.
pub(super) async fn name(document: &Document, shell: &Shell) -> Verdict {
    let host = document.host();
    let found = timeout(PATIENCE, lookup_host((host, document.port()))).await;
    let addresses = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match addresses.map(Iterator::collect::<Vec<_>>) {
        Ok(addresses) if !addresses.is_empty() => {
            let mut addresses: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
            addresses.dedup();
            Verdict::ok(format!("{host} is {} from here", addresses.join(", ")))
        }
        Ok(_) => Verdict::unknown(format!("{host} has no address from here"), elsewhere(shell)),
        Err(error) => {
            let what = format!("{host} does not resolve from here ({error})");
            Verdict::unknown(what, elsewhere(shell))
        }
    }
}

/// Whether the server accepts connections.
pub(super) async fn connection(document: &Document, shell: &Shell) -> Verdict {
    let server = document.server();
    let connect = TcpStream::connect((document.host(), document.port()));
    let connected = timeout(PATIENCE, connect).await;
    match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(_) => Verdict::ok(format!("{server} accepts connections from here")),
        Err(error) => {
            let what = format!("{server} accepts no connection from here ({error})");
            Verdict::unknown(what, elsewhere(shell))
        }
    }
}

/// What to do if this machine is outside the database's network.
fn elsewhere(shell: &Shell) -> Cure {
    let advice = "if the secret's host and port are right, this machine is outside the database's network: run doctor \
                  inside it. To test the function's own network, run this and read the function's log:";
    Cure::advice(advice)
        .command(shell.secrets_manager("rotate-secret", &["--no-rotate-immediately"]))
}
