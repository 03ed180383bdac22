//! Who sent a request. SIGHUP and token files can take a right away while the request runs, so the right is looked up again each time.

use std::{path::Path, sync::Arc};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The process at the other end of a unix socket, as the kernel names it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The path of the socket.
    pub socket: Arc<Path>,
    /// Its user's number.
    pub user: u32,
    /// Its group's number.
    pub group: u32,
}

/// What a request shows: its process at a socket, or its tokens at the port.
#[derive(Clone)]
pub struct Asker {
    /// Who connected to a unix socket. Tokens then have no effect.
    pub(crate) peer: Option<Peer>,
    /// What may be a token.
    pub(crate) given: Vec<HeaderValue>,
}

impl Asker {
    /// With the tokens in these headers. If a header is repeated, its first value counts.
    pub(crate) fn new(peer: Option<&Peer>, headers: &HeaderMap, names: &[HeaderName]) -> Self {
        let given = names.iter().filter_map(|name| headers.get(name));
        Self {
            peer: peer.cloned(),
            given: given.cloned().collect(),
        }
    }

    /// A copy to keep. A header's value holds all that its connection has read at once, which is then never freed.
    pub(crate) fn kept(&self) -> Self {
        let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        Self {
            peer: self.peer.clone(),
            given: self.given.iter().filter_map(copied).collect(),
        }
    }
}
