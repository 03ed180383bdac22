//! Files that follow: each folder holds one version of a secret, in the formats that programs read.
//!
//! | file | what |
//! |---|---|
//! | `formats` | what is in a file, or why it cannot be |
//! | `place` | opens the directory, if nobody else can replace it |
//! | `swap` | replaces all files of a folder at once |
//! | `after` | the signal or the command that follows |
//! | `follow` | the task of a folder |

mod after;
mod follow;
pub mod formats;
mod place;
mod swap;

use std::{path::PathBuf, sync::Arc};

use tokio::{sync::watch, task::AbortHandle};

pub use place::Unsafe;

use self::{follow::Following, swap::Swap};
use crate::{followed::Followed, settings::Settings};

/// What a folder holds: which version, and how often this process has written it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The version's id, once the folder holds it.
    pub version: Option<Arc<str>>,
    writes: u64,
}

/// The folders that this process writes. Their tasks end with it.
#[derive(Default)]
pub struct Files(Vec<Task>);

struct Task {
    secret: String,
    paths: Vec<PathBuf>,
    required: bool,
    written: watch::Receiver<Written>,
    task: AbortHandle,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Files {
    /// Opens the folders, and follows their secrets.
    ///
    /// # Errors
    ///
    /// A directory cannot be opened, or others could put files there.
    pub fn start(settings: &Settings, followed: &Followed) -> Result<Self, Unsafe> {
        let opened = settings
            .files
            .iter()
            .map(|folder| Ok((folder, Swap::open(folder)?)));
        let opened = opened.collect::<Result<Vec<_>, Unsafe>>()?;
        let tasks = opened.into_iter().filter_map(|(folder, swap)| {
            let secret = followed.get(&folder.secret)?;
            let (tell, written) = watch::channel(Written::default());
            let following = Following::new(folder.clone(), swap, settings, tell);
            Some(Task {
                secret: folder.secret.clone(),
                paths: folder
                    .files
                    .iter()
                    .map(|file| folder.directory.join("current").join(&file.name))
                    .collect(),
                required: folder.required,
                written,
                task: tokio::spawn(following.run(secret.clone())).abort_handle(),
            })
        });
        Ok(Self(tasks.collect()))
    }

    /// The required files that were not written yet, or not confirmed since this process started.
    pub fn missing(&self) -> Vec<&PathBuf> {
        let tasks = self
            .0
            .iter()
            .filter(|task| task.required && task.written.borrow().version.is_none());
        tasks.flat_map(|task| &task.paths).collect()
    }

    /// The folders, each with its secret's id.
    pub fn folders(&self) -> Vec<(String, watch::Receiver<Written>)> {
        let folder = |task: &Task| (task.secret.clone(), task.written.clone());
        self.0.iter().map(folder).collect()
    }

    /// Waits for the required files.
    pub async fn ready(&self) {
        for task in self.0.iter().filter(|task| task.required) {
            let _ = task
                .written
                .clone()
                .wait_for(|written| written.version.is_some())
                .await;
        }
    }
}
