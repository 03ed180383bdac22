//! A unix socket: no other user can put another one in its place, and its callers are known by their process's user.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use nix::{
    fcntl::AtFlags,
    libc::{dev_t, ino_t},
    sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat},
    unistd::{UnlinkatFlags, fchownat, unlinkat},
};
use tokio::{
    net::{UnixListener, UnixSocket, UnixStream},
    time::sleep,
};

use crate::{
    Error,
    asker::Peer,
    files::{Unsafe, place},
    settings::sockets,
};

/// How many connections wait to be accepted, as at the port.
const BACKLOG: u32 = 1024;

/// How often to look whether another agent has started, and how long to wait in between. It takes milliseconds, unless it is frozen.
const TRIES: u32 = 1000;
const BETWEEN: Duration = Duration::from_millis(10);

pub(super) struct Socket {
    listener: UnixListener,
    path: Arc<Path>,
    folder: File,
    name: OsString,
    /// Device and number of its file.
    file: (dev_t, ino_t),
}

impl Socket {
    /// Listens there. The socket of an agent that was killed is replaced.
    pub(super) async fn bind(socket: &sockets::Socket) -> Result<Self, Error> {
        let (path, shared) = (&socket.path, socket.shared_parent);
        let failed = |why: String| Error::Socket {
            path: path.clone(),
            why,
        };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed("it is no path of a file: correct path".to_owned()));
        };
        // locked until it listens: another agent that starts now would remove it
        let (folder, lock) = alone_in(folder, shared).await?;
        remove_stale(&folder, name, path).await.map_err(failed)?;
        let listener = listen(&folder, name, socket).map_err(|error| {
            failed(format!("it cannot be made ({error}): let the agent's user write in its folder, and own it or have CAP_CHOWN"))
        })?;
        let file = file(&folder, name).map_err(|error| failed(error.to_string()))?;
        drop(lock);
        tracing::info!(path = %path.display(), "the agent listens on a socket");
        Ok(Self {
            listener,
            path: path.as_path().into(),
            folder,
            name: name.to_owned(),
            file,
        })
    }

    pub(super) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(UnixStream, Peer)>> {
        self.listener.poll_accept(context).map(|accepted| {
            let (stream, _) = accepted?;
            let of = stream.peer_cred()?;
            let peer = Peer {
                socket: self.path.clone(),
                user: of.uid(),
                group: of.gid(),
            };
            Ok((stream, peer))
        })
    }
}

/// Removed before it is closed: a socket that is closed may be replaced. One that was replaced is another agent's.
impl Drop for Socket {
    fn drop(&mut self) {
        if file(&self.folder, &self.name) != Ok(self.file) {
            return;
        }
        let _ = unlinkat(&self.folder, &*self.name, UnlinkatFlags::NoRemoveDir);
    }
}

/// Opens the folder while no other agent starts there. One that writes files there stays.
async fn alone_in(folder: &Path, shared: bool) -> Result<(File, File), Unsafe> {
    let mut tries = TRIES;
    loop {
        let opened = place::open_directory(folder, shared);
        if tries == 0 || !matches!(opened, Err(Unsafe::Taken { .. })) {
            return opened;
        }
        if tries == TRIES {
            tracing::info!(folder = %folder.display(), "another agent starts there: this one waits for it");
        }
        tries -= 1;
        sleep(BETWEEN).await;
    }
}

fn file(folder: &File, name: &OsStr) -> nix::Result<(dev_t, ino_t)> {
    let is = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok((is.st_dev, is.st_ino))
}

/// Removes a socket on which nobody listens.
async fn remove_stale(folder: &File, name: &OsStr, path: &Path) -> Result<(), String> {
    let is = match fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(is) => is,
        Err(nix::Error::ENOENT) => return Ok(()),
        Err(error) => return Err(format!("{error}: correct path")),
    };
    if SFlag::from_bits_truncate(is.st_mode) & SFlag::S_IFMT != SFlag::S_IFSOCK {
        return Err("another file is there: remove it, or correct path".to_owned());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        _ => return Err("another process listens there: stop it, or name another path".to_owned()),
    }
    unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)
        .map_err(|error| format!("the socket of an ended process cannot be removed: {error}"))
}

/// Owner and mode are right before anyone can connect.
fn listen(folder: &File, name: &OsStr, socket: &sockets::Socket) -> io::Result<UnixListener> {
    let new = UnixSocket::new_stream()?;
    new.bind(&socket.path)?;
    let listening = || {
        let owner = socket.owner;
        if owner.user.is_some() || owner.group.is_some() {
            fchownat(
                folder,
                name,
                owner.user,
                owner.group,
                AtFlags::AT_SYMLINK_NOFOLLOW,
            )?;
        }
        // the folder is safe: nobody has put a link there
        let mode = Mode::from_bits_truncate(socket.mode);
        fchmodat(folder, name, mode, FchmodatFlags::FollowSymlink)?;
        new.listen(BACKLOG)
    };
    let listening = listening();
    if listening.is_err() {
        let _ = unlinkat(folder, name, UnlinkatFlags::NoRemoveDir);
    }
    listening
}
