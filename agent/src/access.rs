//! Who may ask, and for which secrets: the tokens, the users of the sockets, and the hosts. SIGHUP replaces all of it at once.

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    Error,
    asker::{Asker, Peer},
    settings::{Settings, sockets::Socket},
    tokens::{Caller, Proof, Right, Tokens},
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
            caller: Caller::new(Proof::Socket(socket.path.clone()), &socket.secrets),
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

    /// Keeps what each caller has used: a reload gives nothing out twice.
    pub(crate) fn inherit(&mut self, before: &Self) {
        self.tokens.inherit(&before.tokens);
        for callers in &mut self.callers {
            callers.caller.inherit(before.all());
        }
    }

    /// How many programs of one caller may wait for changes. Together they take at most half of the connections, in equal parts.
    pub(crate) fn watches(&self, connections: usize) -> usize {
        connections / 2 / self.all().count().max(1)
    }

    fn all(&self) -> impl Iterator<Item = &Caller> {
        let sockets = self.callers.iter().map(|callers| &callers.caller);
        self.tokens.callers().chain(sockets)
    }

    /// What this asker may read now: at a socket by its process, at the port by a token.
    pub(crate) fn right(&self, asker: &Asker) -> Option<Right<'_>> {
        match &asker.peer {
            Some(peer) => self.right_of(peer),
            None => {
                let mut given = asker.given.iter();
                given.find_map(|value| self.tokens.right(value.as_bytes()))
            }
        }
    }

    fn right_of(&self, peer: &Peer) -> Option<Right<'_>> {
        let callers = self
            .callers
            .iter()
            .find(|callers| callers.socket == *peer.socket)?;
        let is_one = callers.users.contains(&peer.user) || callers.groups.contains(&peer.group);
        is_one.then(|| callers.caller.right())
    }
}
