//! The tables `[[sockets]]` as written, and their errors.

use std::{
    collections::BTreeSet,
    os::unix::net::SocketAddr,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Group, User};
use serde::Deserialize;

use super::{
    own_files::{is_plain_path, owner},
    sockets::Socket,
};

/// A table `[[sockets]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    path: PathBuf,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    secrets: Vec<String>,
    owner: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    shared_parent: bool,
}

/// The valid tables. Errors go to `problems`.
pub(super) fn read(tables: Vec<Table>, problems: &mut Vec<String>) -> Vec<Socket> {
    let (mut sockets, mut paths) = (Vec::new(), BTreeSet::new());
    for table in tables {
        let path = table.path.clone();
        let read = match paths.insert(path.clone()) {
            true => table.read(),
            false => Err("the path is that of another table: name one for each".to_owned()),
        };
        match read {
            Ok(socket) => sockets.push(socket),
            Err(problem) => problems.push(format!("socket {}: {problem}", path.display())),
        }
    }
    sockets
}

impl Table {
    fn read(self) -> Result<Socket, String> {
        let has_parent = self
            .path
            .parent()
            .is_some_and(|parent| parent != Path::new("/"));
        if !is_plain_path(&self.path) || !has_parent {
            return Err("the path is no absolute path below a folder, without . and ..".to_owned());
        }
        if SocketAddr::from_pathname(&self.path).is_err() {
            return Err(
                "the path is longer than a socket's may be: write a shorter one".to_owned(),
            );
        }
        if self.users.is_empty() && self.groups.is_empty() {
            return Err("users and groups are empty: name who may read".to_owned());
        }
        let mut users = self
            .users
            .iter()
            .map(|name| user(name))
            .collect::<Result<BTreeSet<_>, _>>()?;
        let mut groups = BTreeSet::new();
        for name in &self.groups {
            let (number, members) = group(name)?;
            groups.insert(number);
            users.extend(members);
        }
        let mode = self.mode.as_deref().unwrap_or("0666");
        let mode = match mode {
            "0600" => 0o600,
            "0660" => 0o660,
            "0666" => 0o666,
            _ => return Err(format!("mode = \"{mode}\" is none of 0600, 0660 and 0666")),
        };
        Ok(Socket {
            path: self.path,
            users,
            groups,
            secrets: self.secrets,
            owner: self
                .owner
                .as_deref()
                .map(owner)
                .transpose()?
                .unwrap_or_default(),
            mode,
            shared_parent: self.shared_parent,
        })
    }
}

fn user(name: &str) -> Result<u32, String> {
    let named = User::from_name(name)
        .ok()
        .flatten()
        .map(|user| user.uid.as_raw());
    let number = named.or_else(|| name.parse().ok());
    number.ok_or_else(|| {
        format!("users: this machine knows no user \"{name}\": write a name or a number")
    })
}

/// A group, and the users whom the machine lists as its members: a process of theirs may have another group.
fn group(name: &str) -> Result<(u32, Vec<u32>), String> {
    let number = || {
        Group::from_gid(Gid::from_raw(name.parse().ok()?))
            .ok()
            .flatten()
    };
    let named = Group::from_name(name).ok().flatten().or_else(number);
    if let Some(group) = named {
        let members = group.mem.iter().filter_map(|member| user(member).ok());
        return Ok((group.gid.as_raw(), members.collect()));
    }
    let number = name.parse().map(|number| (number, Vec::new()));
    number.map_err(|_| {
        format!("groups: this machine knows no group \"{name}\": write a name or a number")
    })
}
