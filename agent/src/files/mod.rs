//! Files that follow: each folder holds one version of a secret, in the formats that programs read.
//!
//! | file | what |
//! |---|---|
//! | `formats` | the contents of a file, or why it cannot be written |
//! | `place` | opens the directory, if no other user can replace it |
//! | `swap` | replaces all files of a folder at once |
//! | `after` | the signal or the command that follows |
//! | `follow` | the task of a secret |

mod after;
mod follow;
pub mod formats;
pub(crate) mod place;
mod swap;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use nix::sys::signal::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::AbortHandle,
};

pub use place::Unsafe;

use self::{
    follow::{Following, follow},
    swap::Swap,
};
use crate::{followed::Followed, settings::Settings};

/// Which version a folder holds, and how often this process has written it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The version's id, once it is written.
    pub version: Option<Arc<str>>,
    writes: u64,
}

/// The folders that this process writes. Dropping it ends their tasks.
#[derive(Default)]
pub struct Files {
    folders: Vec<Watched>,
    tasks: Vec<AbortHandle>,
}

struct Watched {
    secret: String,
    paths: Vec<PathBuf>,
    required: bool,
    written: watch::Receiver<Written>,
}

impl Drop for Files {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Files {
    /// Opens the folders, and follows their secrets.
    ///
    /// # Errors
    ///
    /// A directory cannot be opened, or another user could put files there.
    pub fn start(settings: &Settings, followed: &Followed) -> Result<Self, Unsafe> {
        // a write above the limit of a file's size (LimitFSIZE) is an error with this, and else ends the process
        if let Err(error) = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)) {
            tracing::warn!(%error, "SIGXFSZ is not handled");
        }
        let (mut files, mut of_secrets) =
            (Self::default(), BTreeMap::<&str, Vec<Following>>::new());
        for folder in &settings.files {
            let (tell, written) = watch::channel(Written::default());
            let following = Following::new(folder.clone(), Swap::open(folder)?, settings, tell);
            of_secrets
                .entry(&folder.secret)
                .or_default()
                .push(following);
            let current = folder.directory.join("current");
            files.folders.push(Watched {
                secret: folder.secret.clone(),
                paths: folder
                    .files
                    .iter()
                    .map(|file| current.join(&file.name))
                    .collect(),
                required: folder.required,
                written,
            });
        }
        for (id, folders) in of_secrets {
            if let Some(secret) = followed.get(id) {
                files
                    .tasks
                    .push(tokio::spawn(follow(folders, secret.clone())).abort_handle());
            }
        }
        Ok(files)
    }

    /// The paths of the required files that this process has not yet written or confirmed.
    pub fn missing(&self) -> Vec<String> {
        let missing =
            |folder: &&Watched| folder.required && folder.written.borrow().version.is_none();
        self.folders
            .iter()
            .filter(missing)
            .flat_map(|folder| &folder.paths)
            .map(|path| path.display().to_string())
            .collect()
    }

    /// Each folder, with its secret's id.
    pub fn folders(&self) -> Vec<(String, watch::Receiver<Written>)> {
        let folder = |folder: &Watched| (folder.secret.clone(), folder.written.clone());
        self.folders.iter().map(folder).collect()
    }

    /// Waits for the required files.
    pub async fn ready(&self) {
        for folder in self.folders.iter().filter(|folder| folder.required) {
            let mut written = folder.written.clone();
            let _ = written.wait_for(|written| written.version.is_some()).await;
        }
    }
}
