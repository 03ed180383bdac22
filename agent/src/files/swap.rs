//! Replaces all files at once: `current` is a link to a folder that never changes, and one rename points it to another folder.
//!
//! ```text
//! /run/orders/current -> .18f3a2…          the current version
//! /run/orders/.18f3a2…/pg_service.conf
//! /run/orders/.18f09c…/                    the previous one, for programs that still read it
//! /run/orders/.lock                        held by the agent that writes here
//! /run/orders/.told                        the folder for which the signal was sent or the command ran
//! ```

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Permissions},
    io::{self, Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{
    dir::Dir,
    fcntl::{OFlag, openat, readlinkat, renameat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, fchown, geteuid, symlinkat, unlinkat},
};
use secrecy::zeroize::Zeroizing;

use super::{
    formats::Bytes,
    place::{self, Unsafe},
};
use crate::settings::files::{Folder, Owner};

const CURRENT: &str = "current";
const NEXT: &str = ".next";
const TOLD: &str = ".told";

/// A directory, with the names, the owner and the mode of its files.
pub(super) struct Swap {
    directory: File,
    _lock: File,
    names: Vec<String>,
    owner: Owner,
    mode: u32,
}

impl Swap {
    pub(super) fn open(folder: &Folder) -> Result<Self, Unsafe> {
        let (directory, lock) = place::open_directory(&folder.directory, folder.shared_parent)?;
        Ok(Self {
            directory,
            _lock: lock,
            names: folder.files.iter().map(|file| file.name.clone()).collect(),
            owner: folder.owner,
            mode: folder.mode,
        })
    }

    /// The folder that `current` points to, if this agent made it.
    pub(super) fn current(&self) -> Option<OsString> {
        let name = readlinkat(&self.directory, CURRENT).ok()?;
        is_ours(&name).then_some(name)
    }

    /// Whether the folder holds exactly these files: same contents, owner and mode.
    pub(super) fn holds(&self, contents: &[Bytes]) -> bool {
        let held = || {
            let folder = self.folder(&self.current()?)?;
            let mut files = self.names.iter().zip(contents);
            let is_whole = list(&folder).ok()?.len() == contents.len();
            Some(is_whole && files.all(|(name, content)| self.is_held(&folder, name, content)))
        };
        held().unwrap_or(false)
    }

    fn folder(&self, name: &OsStr) -> Option<File> {
        let how = OFlag::O_RDONLY | place::directory();
        Some(
            openat(&self.directory, name, how, Mode::empty())
                .ok()?
                .into(),
        )
    }

    fn is_held(&self, folder: &File, name: &str, content: &Bytes) -> bool {
        let read = || {
            // opening a pipe would wait for a writer
            let how = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let file = File::from(openat(folder, name, how, Mode::empty())?);
            let is = file.metadata()?;
            let user = self.owner.user.unwrap_or_else(geteuid).as_raw();
            let is_right = is.is_file()
                && is.mode() & 0o7777 == self.mode
                && is.uid() == user
                && self
                    .owner
                    .group
                    .is_none_or(|group| group.as_raw() == is.gid());
            let mut held = Zeroizing::new(Vec::with_capacity(content.len() + 1));
            file.take(content.len() as u64 + 1).read_to_end(&mut held)?;
            Ok::<_, io::Error>(is_right && *held == **content)
        };
        read().unwrap_or(false)
    }

    /// Replaces the current files with these.
    pub(super) fn write(&self, contents: &[Bytes]) -> io::Result<OsString> {
        let (name, folder) = self.make_folder()?;
        let put = self.fill(&folder, contents).and_then(|()| self.turn(&name));
        match put {
            Ok(()) => Ok(name),
            Err(error) => {
                let _ = self.remove(&name);
                Err(error)
            }
        }
    }

    fn make_folder(&self) -> io::Result<(OsString, File)> {
        loop {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let name = OsString::from(format!(".{:x}", now.as_nanos()));
            match place::make_in(&self.directory, &name) {
                Ok(folder) => return Ok((name, folder)),
                Err(nix::Error::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn fill(&self, folder: &File, contents: &[Bytes]) -> io::Result<()> {
        let new =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        for (name, content) in self.names.iter().zip(contents) {
            let mut file = File::from(openat(
                folder,
                &**name,
                new,
                Mode::from_bits_truncate(0o600),
            )?);
            // owner and mode before the first byte; the mode first: after giving a file away, a process may not change its mode
            file.set_permissions(Permissions::from_mode(self.mode))?;
            if self.owner.user.is_some() || self.owner.group.is_some() {
                fchown(&file, self.owner.user, self.owner.group).map_err(not_given)?;
            }
            file.write_all(content)?;
            file.sync_all()?;
        }
        place::let_pass(folder)?;
        folder.sync_all()
    }

    /// Points `current` to this folder.
    fn turn(&self, name: &OsStr) -> io::Result<()> {
        let _ = unlinkat(&self.directory, NEXT, UnlinkatFlags::NoRemoveDir);
        symlinkat(name, &self.directory, NEXT)?;
        renameat(&self.directory, NEXT, &self.directory, CURRENT)?;
        self.directory.sync_all()
    }

    /// Removes the folders of this agent, except these.
    pub(super) fn sweep(&self, kept: &[&OsStr]) -> io::Result<()> {
        for name in list(&self.directory)? {
            if is_ours(&name) && !kept.contains(&&*name) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        if let Some(folder) = self.folder(name) {
            for file in list(&folder)? {
                unlinkat(&folder, &*file, UnlinkatFlags::NoRemoveDir)?;
            }
        }
        Ok(unlinkat(&self.directory, name, UnlinkatFlags::RemoveDir)?)
    }

    /// Whether the signal was sent, or the command ran, for the current folder.
    pub(super) fn is_signalled(&self) -> bool {
        let told = readlinkat(&self.directory, TOLD).ok();
        told.is_some() && told == self.current()
    }

    /// Remembers that it was.
    pub(super) fn set_told(&self) -> io::Result<()> {
        let _ = unlinkat(&self.directory, TOLD, UnlinkatFlags::NoRemoveDir);
        match self.current() {
            Some(name) => Ok(symlinkat(&*name, &self.directory, TOLD)?),
            None => Ok(()),
        }
    }
}

fn not_given(error: nix::Error) -> io::Error {
    let advice = "the files cannot be given to their owner: run the agent as root or with CAP_CHOWN, or leave owner out";
    io::Error::new(io::Error::from(error).kind(), format!("{advice} ({error})"))
}

fn list(directory: &File) -> io::Result<Vec<OsString>> {
    let mut entries = Dir::openat(
        directory,
        Path::new("."),
        OFlag::O_RDONLY | place::directory(),
        Mode::empty(),
    )?;
    let names = entries.iter().map(|entry| {
        let name = entry?.file_name().to_bytes().to_owned();
        Ok(OsStr::from_bytes(&name).to_owned())
    });
    let names = names.collect::<nix::Result<Vec<_>>>()?;
    Ok(names
        .into_iter()
        .filter(|name| name != "." && name != "..")
        .collect())
}

/// Whether this agent chose that name: it removes no other folder.
fn is_ours(name: &OsStr) -> bool {
    let hex = name.to_str().and_then(|name| name.strip_prefix('.'));
    hex.is_some_and(|hex| hex.len() >= 15 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn swap(directory: &Path) -> Swap {
        let directory = directory.canonicalize().unwrap();
        let (directory, lock) = place::open_directory(&directory, false).unwrap();
        Swap {
            directory,
            _lock: lock,
            names: vec!["a".to_owned(), "b".to_owned()],
            owner: Owner::default(),
            mode: 0o600,
        }
    }

    fn contents(text: &str) -> Vec<Bytes> {
        ["a", "b"]
            .map(|name| format!("{name}{text}").into_bytes().into())
            .to_vec()
    }

    #[test]
    fn old_folders_are_removed_and_nothing_else_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let swap = swap(directory.path());
        let own = ["data", ".hidden", ".abc", ".0123456789abcdef0x"];
        for name in own {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let first = swap.write(&contents("1")).unwrap();
        let second = swap.write(&contents("2")).unwrap();
        let third = swap.write(&contents("3")).unwrap();
        swap.sweep(&[&third, &second]).unwrap();
        let has = |name: &OsStr| directory.path().join(name).exists();
        assert!(!has(&first) && has(&second) && has(&third));
        assert!(own.iter().all(|name| has(OsStr::new(name))));
    }

    #[test]
    fn a_write_that_fails_leaves_what_is_there_and_no_half_folder() {
        let directory = tempfile::tempdir().unwrap();
        let mut swap = swap(directory.path());
        swap.write(&contents("1")).unwrap();
        swap.names[1] = "no/such/folder".to_owned();
        assert!(swap.write(&contents("2")).is_err());
        assert_eq!(
            fs::read_to_string(directory.path().join("current/a")).unwrap(),
            "a1"
        );
        // the folder, the link to it, and the lock
        assert_eq!(list(&swap.directory).unwrap().len(), 3);
        // a folder in the link's place has the same effect
        swap.names[1] = "b".to_owned();
        fs::remove_file(directory.path().join("current")).unwrap();
        fs::create_dir(directory.path().join("current")).unwrap();
        assert!(swap.write(&contents("2")).is_err());
        assert!(!swap.holds(&contents("2")));
    }

    #[test]
    fn what_follows_is_done_once_for_a_folder_and_again_for_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let swap = swap(directory.path());
        assert!(!swap.is_signalled());
        for text in ["1", "2"] {
            swap.write(&contents(text)).unwrap();
            assert!(swap.holds(&contents(text)) && !swap.is_signalled());
            swap.set_told().unwrap();
            assert!(swap.is_signalled());
        }
    }
}
