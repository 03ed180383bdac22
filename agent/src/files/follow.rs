//! The task of a secret: it writes each new version to its folders, and looks again when something is due.

use std::{
    ffi::OsString,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rotating_secret::{Credential, RotatingSecret};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Written, after,
    formats::{self, Bytes},
    swap::Swap,
};
use crate::{
    settings::{Settings, files::Folder},
    telemetry::{self, Step},
};

/// How long the previous files stay, for programs that have just opened the folder.
const KEPT: Duration = Duration::from_secs(60);

/// The first delay after a failed write or command; it doubles each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

pub(super) struct Following {
    folder: Folder,
    swap: Arc<Swap>,
    tell: watch::Sender<Written>,
    ttl: Duration,
    window: Duration,
    /// The last version that was seen, and when it replaced another one.
    seen: Option<(Arc<str>, Option<SystemTime>)>,
    /// The previous version's folder, until it is removed.
    before: Option<(OsString, Instant)>,
    /// The folder for which the signal was sent or the command ran, if that cannot be stored.
    told: Option<OsString>,
    /// Why the last write failed. The same reason is logged once.
    failing: Option<String>,
    retry: Duration,
}

/// Whether everything was done.
enum Outcome {
    Done,
    Again,
}

/// Follows one secret into these folders in order: a folder's `after` runs before the next folder is written.
pub(super) async fn follow(mut folders: Vec<Following>, secret: RotatingSecret) {
    // a refused secret's files stay, and what is due for them is still done
    let mut last: Option<Credential> = None;
    loop {
        if let Ok(credential) = secret.usable().await {
            last = Some(credential.clone());
        }
        let Some(credential) = &last else {
            // the client logs why, and keeps asking
            if let Ok(Err(_)) = timeout(LAST_RETRY, secret.changed_from("")).await {
                sleep(FIRST_RETRY).await;
            }
            continue;
        };
        let mut wake = Instant::now() + LAST_RETRY;
        for folder in &mut folders {
            wake = wake.min(folder.turn(credential).await);
        }
        tokio::select! {
            changed = secret.changed_from(credential.version()) => if changed.is_err() {
                sleep(FIRST_RETRY).await;
            },
            () = sleep_until(wake) => {}
        }
    }
}

impl Following {
    pub(super) fn new(
        folder: Folder,
        swap: Swap,
        settings: &Settings,
        tell: watch::Sender<Written>,
    ) -> Self {
        Self {
            folder,
            swap: swap.into(),
            tell,
            ttl: settings.ttl,
            window: settings.overlap_window,
            seen: None,
            before: None,
            told: None,
            failing: None,
            retry: FIRST_RETRY,
        }
    }

    /// Does what is due for this version. Returns when to look again.
    async fn turn(&mut self, credential: &Credential) -> Instant {
        let until = self.see(credential);
        let both = until.is_some_and(|until| until > SystemTime::now());
        let outcome = self.step(credential, both).await;
        self.due(outcome, until.filter(|_| both))
    }

    /// Until when the previous version logs in.
    fn see(&mut self, credential: &Credential) -> Option<SystemTime> {
        let version = credential.version();
        match &self.seen {
            Some((seen, _)) if **seen == *version => {}
            seen => {
                let replaced = seen.as_ref().map(|_| SystemTime::now());
                self.seen = Some((version.into(), replaced));
                self.retry = FIRST_RETRY;
            }
        }
        let replaced = self.seen.as_ref().and_then(|(_, replaced)| *replaced);
        formats::both_until(credential, self.window, replaced)
    }

    async fn step(&mut self, credential: &Credential, both: bool) -> Outcome {
        let directory = self.folder.directory.clone();
        let directory = directory.display();
        let contents = match formats::render(&self.folder, credential, both) {
            Ok(contents) => contents,
            Err(error) => {
                telemetry::not_written(Step::Format);
                // only another version helps, not another try
                tracing::warn!(%directory, %error, "the files keep the version before: rotate again, or choose another format");
                return Outcome::Done;
            }
        };
        let replaced = match self.put(contents).await {
            Ok(replaced) => replaced,
            Err(error) => {
                telemetry::not_written(Step::Write);
                let error = error.to_string();
                if self.failing.as_ref() != Some(&error) {
                    tracing::warn!(%directory, error, "the files cannot be written, and keep the version before: the agent tries again");
                    self.failing = Some(error);
                }
                return Outcome::Again;
            }
        };
        self.failing = None;
        if let Some(before) = replaced {
            telemetry::written();
            tracing::info!(%directory, version = credential.version(), "the files have a new version");
            self.before = before.map(|name| (name, Instant::now() + KEPT));
            self.tell.send_modify(|written| written.writes += 1);
        }
        let version = Some(credential.version());
        self.tell.send_if_modified(|written| {
            let is_another = written.version.as_deref() != version;
            written.version = version.map(Into::into);
            is_another
        });
        self.follow_up().await
    }

    /// Writes the files if they differ. Returns the folder that was replaced, if any.
    async fn put(&mut self, contents: Vec<Bytes>) -> io::Result<Option<Option<OsString>>> {
        let is_kept = |(_, until): &(OsString, Instant)| *until > Instant::now();
        self.before = self.before.take().filter(is_kept);
        let (swap, kept) = (
            self.swap.clone(),
            self.before.as_ref().map(|(name, _)| name.clone()),
        );
        let put = spawn_blocking(move || {
            let (held, holds) = (swap.current(), swap.holds(&contents));
            let written = if holds {
                Ok(())
            } else {
                swap.write(&contents).map(drop)
            };
            let is_new = !holds && written.is_ok();
            let before = if is_new { held.clone() } else { kept };
            let names = [swap.current(), before];
            let names: Vec<_> = names.iter().flatten().map(|name| &**name).collect();
            if let Err(error) = swap.sweep(&names) {
                tracing::warn!(%error, "files of an old version cannot be removed");
            }
            // after the removal: a full disk may have room now
            written?;
            Ok(is_new.then_some(held))
        });
        put.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Sends the signal or runs the command until it succeeds for these files, also after a restart of the agent.
    async fn follow_up(&mut self) -> Outcome {
        let Some(after) = &self.folder.after else {
            return Outcome::Done;
        };
        let swap = self.swap.clone();
        let looked = spawn_blocking(move || (swap.current(), swap.is_signalled())).await;
        let (current, is_signalled) = looked.unwrap_or_default();
        if is_signalled || current.is_some() && current == self.told {
            return Outcome::Done;
        }
        let directory = self.folder.directory.display();
        if let Err(error) = after::follow(after).await {
            telemetry::not_written(Step::After);
            tracing::warn!(%directory, %error, retry = ?self.retry, "the files are new, but the command or signal after them failed");
            return Outcome::Again;
        }
        self.told = current;
        let swap = self.swap.clone();
        let set = spawn_blocking(move || swap.set_told()).await;
        if let Err(error) = set.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(%directory, %error, "what follows was done, and will be done again at the next start");
        }
        Outcome::Done
    }

    /// When to look again.
    fn due(&mut self, outcome: Outcome, both_until: Option<SystemTime>) -> Instant {
        let now = Instant::now();
        let mut wake = now + self.ttl;
        if matches!(outcome, Outcome::Again) {
            wake = wake.min(now + self.retry);
            self.retry = (2 * self.retry).min(LAST_RETRY);
        } else {
            self.retry = FIRST_RETRY;
        }
        if let Some((_, until)) = &self.before {
            wake = wake.min(*until);
        }
        let left = both_until.and_then(|until| until.duration_since(SystemTime::now()).ok());
        left.map_or(wake, |left| wake.min(now + left))
    }
}
