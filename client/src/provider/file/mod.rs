//! Files that something else mounts and replaces: a Kubernetes Secret, CSI Secrets Store, External Secrets.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the provider |
//! | `read` | one reading of a file or folder, never torn |
//! | `seen` | the state of a file or folder, to detect a change |
//! | `watch` | waits for a change |
//! | `inotify` | the kernel's notification that something happened |

#[cfg(target_os = "linux")]
mod inotify;
mod read;
mod seen;
mod watch;

use std::path::PathBuf;

use tokio::task::spawn_blocking;

use super::{Changes, ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version};

/// Secrets in files: a Kubernetes Secret, CSI Secrets Store or External Secrets volume.
///
/// A secret's id is a path below the given folder. It names one of two things:
///
/// - A file that holds a JSON object, which is the secret's document. In a mounted volume it is replaced as a whole. Anywhere
///   else, replace it by a rename: a file that is written while it is read is an error, and so is one that ends too early.
/// - A mounted volume's folder, with a file for each key (`username`, `password`, `host`). The document is the object of these
///   keys, without a line break at a value's end. All files are read below the one folder that the link `..data` names, so they
///   belong together. A folder without such a link is accepted only if its own path is a symbolic link: the files of a plain
///   folder are replaced one after the other, and a new username with an old password is no credential.
///
/// Only regular files are read, and no pipe or device in a file's place. A document has at most 1 MiB, a folder 1,024 entries
/// and 1 MiB in all its files; more is [`Invalid`](Kind::Invalid).
///
/// The version's id is a name for the content, and differs in each process. On Linux a change is seen at once, because the
/// kernel reports it; elsewhere, and on file systems without kernel events, within a second. A thread for each secret waits for
/// changes. Kubernetes never updates a `subPath` mount.
#[derive(Clone, Debug)]
pub struct File {
    below: PathBuf,
}

impl File {
    /// Files and folders below this folder. An id that is an absolute path is used as it is.
    pub fn new(below: impl Into<PathBuf>) -> Self {
        Self {
            below: below.into(),
        }
    }
}

impl SecretProvider for File {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let path = self.below.join(secret);
        if stage != Stage::Current {
            let message = format!(
                "{} has a current version only: ask for that",
                path.display()
            );
            return Err(ProviderError::new(Kind::NotFound, message));
        }
        // a file system may hang; then the question's time limit ends the wait
        let read = spawn_blocking(move || read::version(&path)).await;
        read.unwrap_or_else(|_| {
            let message = "the reading was cut off: the runtime ends";
            Err(ProviderError::new(Kind::Unavailable, message))
        })
    }

    fn changes(&self, secret: &str) -> Changes {
        watch::changes(self.below.join(secret))
    }
}
