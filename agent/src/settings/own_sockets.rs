//! The tables `[[sockets]]` as written, and their errors.

use std::{
    collections::BTreeSet,
    os::unix::net::SocketAddr,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Group, User};
use serde::Deserialize;

use super::{
    mistakes::{Mistake, keep},
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

/// The valid tables. Errors go to `mistakes`.
pub(super) fn read(tables: Vec<Table>, mistakes: &mut Vec<Mistake>) -> Vec<Socket> {
    let mut paths = BTreeSet::new();
    let read = |(at, table): (usize, Table)| {
        let (at, is_new) = (format!("sockets.{at}"), paths.insert(table.path.clone()));
        if !is_new {
            let told = "it is that of another table: name one for each";
            mistakes.push(Mistake::new(format!("{at}.path"), told));
        }
        table.read(&at, mistakes)
    };
    tables.into_iter().enumerate().filter_map(read).collect()
}

impl Table {
    fn read(self, at: &str, mistakes: &mut Vec<Mistake>) -> Option<Socket> {
        let path = keep(path(self.path), at, mistakes);
        if self.users.is_empty() && self.groups.is_empty() {
            mistakes.push(Mistake::new(
                format!("{at}.users"),
                "name who may read, in users or groups",
            ));
        }
        let named = self
            .users
            .iter()
            .map(|name| user(name))
            .collect::<Result<BTreeSet<u32>, _>>();
        let users = keep(named, at, mistakes);
        let named = self
            .groups
            .iter()
            .map(|name| group(name))
            .collect::<Result<Vec<_>, _>>();
        let groups = keep(named, at, mistakes);
        let mode = keep(mode(self.mode.as_deref()), at, mistakes);
        let owner = keep(self.owner.as_deref().map(owner).transpose(), at, mistakes);
        let (mut users, groups) = (users?, groups?);
        users.extend(groups.iter().flat_map(|(_, members)| members));
        Some(Socket {
            path: path?,
            users,
            groups: groups.into_iter().map(|(number, _)| number).collect(),
            secrets: self.secrets,
            owner: owner?.unwrap_or_default(),
            mode: mode?,
            shared_parent: self.shared_parent,
        })
    }
}

fn path(path: PathBuf) -> Result<PathBuf, Mistake> {
    let has_folder = path.parent().is_some_and(|folder| folder != Path::new("/"));
    if !is_plain_path(&path) || !has_folder {
        let told = "write an absolute path below a folder, without . and ..";
        return Err(Mistake::new("path", told));
    }
    match SocketAddr::from_pathname(&path) {
        Ok(_) => Ok(path),
        Err(_) => Err(Mistake::new(
            "path",
            "a socket's path has about 100 bytes at most: write a shorter one",
        )),
    }
}

fn mode(text: Option<&str>) -> Result<u32, Mistake> {
    match text {
        None | Some("0666") => Ok(0o666),
        Some("0660") => Ok(0o660),
        Some("0600") => Ok(0o600),
        Some(_) => Err(Mistake::new("mode", "write 0600, 0660 or 0666")),
    }
}

fn user(name: &str) -> Result<u32, Mistake> {
    let named = User::from_name(name)
        .ok()
        .flatten()
        .map(|user| user.uid.as_raw());
    let number = named.or_else(|| name.parse().ok());
    let unknown = || format!("this machine knows no user \"{name}\": write a name or a number");
    number.ok_or_else(|| Mistake::new("users", unknown()))
}

/// A group, and the users whom the machine lists as its members: a process of theirs may have another group.
fn group(name: &str) -> Result<(u32, Vec<u32>), Mistake> {
    let number = || {
        Group::from_gid(Gid::from_raw(name.parse().ok()?))
            .ok()
            .flatten()
    };
    if let Some(group) = Group::from_name(name).ok().flatten().or_else(number) {
        let members = group.mem.iter().filter_map(|member| user(member).ok());
        return Ok((group.gid.as_raw(), members.collect()));
    }
    let unknown = || format!("this machine knows no group \"{name}\": write a name or a number");
    let number = name.parse().map(|number| (number, Vec::new()));
    number.map_err(|_| Mistake::new("groups", unknown()))
}
