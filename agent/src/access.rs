//! Who may ask, and for which secrets: the tokens, the users of the sockets, and the hosts. SIGHUP replaces all of it at once.

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    Error,
    connections::Peer,
    settings::{Settings, sockets::Socket},
    tokens::{Caller, Right, Tokens},
};

/// Who may ask.
#[derive(Debug)]
pub struct Access {
    /// The tokens, for callers at the port.
    pub tokens: Tokens,
    /// Names that `Host` may have, apart from localhost.
    pub hosts: Vec<String>,
    callers: Vec<Callers>,
}

/// The processes that one socket serves.
#[derive(Debug)]
struct Callers {
    socket: PathBuf,
    users: BTreeSet<u32>,
    groups: BTreeSet<u32>,
    caller: Caller,
}

impl Access {
    /// Reads the tokens.
    ///
    /// # Errors
    ///
    /// A token is missing, or is easy to guess.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let callers = |socket: &Socket| Callers {
            socket: socket.path.clone(),
            users: socket.users.clone(),
            groups: socket.groups.clone(),
            caller: Caller::new(Some(&socket.secrets), settings),
        };
        Ok(Self {
            tokens: Tokens::new(settings)?,
            hosts: settings.hosts.clone(),
            callers: settings.sockets.iter().map(callers).collect(),
        })
    }

    #[cfg(test)]
    pub(crate) fn of(token: &str) -> Self {
        Self {
            tokens: Tokens::of(token),
            hosts: Vec::new(),
            callers: Vec::new(),
        }
    }

    /// What a process at a socket may read, if the socket serves it.
    pub(crate) fn right_of(&self, peer: &Peer) -> Option<Right<'_>> {
        let callers = self
            .callers
            .iter()
            .find(|callers| callers.socket == *peer.socket)?;
        let is_one = callers.users.contains(&peer.user) || callers.groups.contains(&peer.group);
        is_one.then(|| callers.caller.right())
    }
}
