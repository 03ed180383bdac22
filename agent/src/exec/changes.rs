//! Waits for another version. A child gets one signal, when its variables and its files are of that version.

use std::{sync::Arc, time::Duration};

use futures_util::future::{FutureExt, select_all};
use rotating_secret::RotatingSecret;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::environment::Environment;
use crate::{
    files::{Files, Written},
    followed::Followed,
};

/// How long to wait for the files of a new version. A format may refuse the version.
const FILES: Duration = Duration::from_secs(5);

pub(super) struct Changes {
    secrets: Vec<(RotatingSecret, Arc<str>)>,
    folders: Vec<(String, watch::Receiver<Written>)>,
    /// How long to wait for the files of a version that has come.
    until: Option<Instant>,
}

impl Changes {
    pub(super) fn new(environment: &Environment, followed: &Followed, files: &Files) -> Self {
        let secrets = environment.secrets().filter_map(|id| followed.get(id));
        Self {
            secrets: secrets
                .map(|secret| (secret.clone(), Arc::from("")))
                .collect(),
            folders: files.folders(),
            until: None,
        }
    }

    /// Remembers the current versions as known to the child, as soon as the files have them.
    pub(super) async fn seen(&mut self) {
        let until = *self.until.get_or_insert_with(|| Instant::now() + FILES);
        for (secret, version) in &mut self.secrets {
            // one that cannot be read is another version as soon as it can
            let current = secret.current();
            *version = current.map_or_else(|_| "".into(), |current| current.version().into());
            let folders = self.folders.iter_mut().filter(|(of, _)| of == secret.id());
            for (_, written) in folders {
                let is_there =
                    written.wait_for(|written| written.version.as_deref() == Some(version));
                let _ = timeout_at(until, is_there).await;
            }
        }
        for (_, written) in &mut self.folders {
            written.mark_unchanged();
        }
        self.until = None;
    }

    /// Waits for a version other than the [`seen`](Self::seen) one, and for its files. Cancelling loses none.
    pub(super) async fn next(&mut self) {
        // else it was cancelled while it waited for the files
        if self.until.is_none() {
            self.other().await;
        }
        self.seen().await;
    }

    async fn other(&mut self) {
        loop {
            let secrets = self.secrets.iter();
            let secrets = secrets.map(|(secret, version)| {
                secret
                    .changed_from(version)
                    .map(|read| read.is_ok())
                    .boxed()
            });
            let folders = self.folders.iter_mut();
            let folders = folders
                .map(|(_, written)| written.changed().map(|changed| changed.is_ok()).boxed());
            let changed: Vec<_> = secrets.chain(folders).collect();
            if changed.is_empty() {
                return std::future::pending().await;
            }
            match select_all(changed).await {
                (true, ..) => return,
                // the new version cannot be used
                (false, ..) => sleep(Duration::from_secs(1)).await,
            }
        }
    }
}
