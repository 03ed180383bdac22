//! `[[sockets]]`: where processes read without a token, and who they are. `own_sockets` parses it.

use std::{collections::BTreeSet, path::PathBuf};

use super::files::Owner;

/// A unix socket. Its callers are known by the user and the group of their process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The socket's file.
    pub path: PathBuf,
    /// Numbers of the users that may read, members of the groups among them.
    pub users: BTreeSet<u32>,
    /// Numbers of the groups that may read.
    pub groups: BTreeSet<u32>,
    /// Patterns of the names that they may read, as for a token.
    pub secrets: Vec<String>,
    /// Owner of the socket; the agent's own user if not set.
    pub owner: Owner,
    /// The socket's mode.
    pub mode: u32,
    /// Accepts folders above that others may write to.
    pub shared_parent: bool,
}
