//! Opens a directory for secrets or for a socket: only this process's user and root can replace it or a folder above it.
//!
//! Each part of the path is opened below the one before, without following a link, and checked after it is open: nobody can swap
//! it in between.

use std::{
    ffi::OsStr,
    fs::{File, Metadata, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, open, openat},
    sys::stat::{Mode, mkdirat},
    unistd::geteuid,
};

/// Why it is not safe to write there.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Unsafe {
    #[error("{}: it is a symbolic link, or no directory: write the path that it leads to", path.display())]
    Link { path: PathBuf },
    #[error(
        "{}: it belongs to user {owner}, who could put other files in the place of a secret: have it belong to root or to the agent's user",
        path.display()
    )]
    Owner { path: PathBuf, owner: u32 },
    #[error(
        "{}: its mode {mode:04o} lets others write there, who could put other files in the place of a secret: chmod go-w, or \
         shared_parent = true where all who can write there may do so",
        path.display()
    )]
    Writable { path: PathBuf, mode: u32 },
    #[error("{}: {source}: create the folders above it, and let the agent's user write there", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: another agent writes there: give each its own directory", path.display())]
    Taken { path: PathBuf },
}

/// The flag that opens a directory to look up names in it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PASSING: OFlag = OFlag::O_PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PASSING: OFlag = OFlag::O_RDONLY;

/// Sticky: other users may write there, but can replace only their own files.
const STICKY: u32 = 0o1000;
const SET_GROUP: u32 = 0o2000;

/// The file whose lock says which agent writes to the directory.
pub(super) const LOCK: &str = ".lock";

/// Opens the directory, and locks it for this process as long as the second file is open. Makes the last part if it is missing.
pub(crate) fn open_directory(path: &Path, shared_parent: bool) -> Result<(File, File), Unsafe> {
    let failed = |path: &Path, source: io::Error| Unsafe::Io {
        path: path.to_owned(),
        source,
    };
    let mut walked = PathBuf::from("/");
    let root = open("/", PASSING | directory(), Mode::empty());
    let mut at = File::from(root.map_err(|error| failed(&walked, error.into()))?);
    let mut parts = path
        .components()
        .filter(|part| *part != Component::RootDir)
        .peekable();
    while let Some(part) = parts.next() {
        let (name, is_last) = (part.as_os_str(), parts.peek().is_none());
        if !shared_parent {
            check(
                &at.metadata().map_err(|error| failed(&walked, error))?,
                &walked,
                STICKY,
            )?;
        }
        walked.push(name);
        let is_new = is_last
            && match mkdirat(&at, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) => true,
                Err(nix::Error::EEXIST) => false,
                Err(error) => return Err(failed(&walked, error.into())),
            };
        let how = if is_last { OFlag::O_RDONLY } else { PASSING };
        let opened = openat(&at, name, how | directory(), Mode::empty());
        at = File::from(opened.map_err(|error| match error {
            nix::Error::ENOTDIR | nix::Error::ELOOP => Unsafe::Link {
                path: walked.clone(),
            },
            error => failed(&walked, error.into()),
        })?);
        if is_new {
            // the process's umask may have taken the right to enter
            let_pass(&at).map_err(|error| failed(&walked, error))?;
        }
    }
    check(
        &at.metadata().map_err(|error| failed(&walked, error))?,
        &walked,
        0,
    )?;
    // each user who may read a file can lock it, so this is not the directory itself
    let new = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let lock = openat(&at, LOCK, new, Mode::from_bits_truncate(0o600));
    let lock = File::from(lock.map_err(|error| failed(&walked.join(LOCK), error.into()))?);
    match lock.try_lock() {
        Ok(()) => Ok((at, lock)),
        Err(_) => Err(Unsafe::Taken { path: walked }),
    }
}

/// Opens a directory itself, and no link to one.
pub(super) fn directory() -> OFlag {
    OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// Makes a directory in another one. Only this process's user can enter it yet.
pub(super) fn make_in(parent: &File, name: &OsStr) -> nix::Result<File> {
    mkdirat(parent, name, Mode::from_bits_truncate(0o700))?;
    Ok(openat(parent, name, OFlag::O_RDONLY | directory(), Mode::empty())?.into())
}

/// Lets every user enter: the files have modes of their own. A group that the parent hands on stays.
pub(super) fn let_pass(directory: &File) -> io::Result<()> {
    let handed_on = directory.metadata()?.mode() & SET_GROUP;
    directory.set_permissions(Permissions::from_mode(0o755 | handed_on))
}

fn check(is: &Metadata, path: &Path, excused_by: u32) -> Result<(), Unsafe> {
    let (path, owner, mode) = (|| path.to_owned(), is.uid(), is.mode() & 0o7777);
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(Unsafe::Owner {
            path: path(),
            owner,
        });
    }
    match mode & 0o022 != 0 && mode & excused_by == 0 {
        true => Err(Unsafe::Writable { path: path(), mode }),
        false => Ok(()),
    }
}
