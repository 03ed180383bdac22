//! Waits until a file or folder changes.
//!
//! The kernel's notification only says when to look: it comes for each step of a writer, and on some file systems not at all.
//! So the thread also looks once a second. It is a thread, because both calls wait.

use std::{path::PathBuf, thread, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

#[cfg(target_os = "linux")]
use super::inotify::Events;
use super::{Changes, seen::Seen};

const BETWEEN: Duration = Duration::from_secs(1);

pub(super) fn changes(path: PathBuf) -> Changes {
    // a signal that is not received yet covers the next ones too
    let (tell, signals) = mpsc::channel(1);
    let thread = thread::Builder::new().name("secret files".to_owned());
    if let Err(error) = thread.spawn(move || watch(path, tell)) {
        tracing::warn!(%error, "files are not watched: the ttl finds a change");
    }
    Box::pin(ReceiverStream::new(signals))
}

/// Ends a second after the last handle of the secret.
fn watch(path: PathBuf, tell: mpsc::Sender<()>) {
    let (mut events, mut seen) = (Events::of(&path), None);
    while !tell.is_closed() {
        let now = Some(Seen::of(&path).ok());
        if now == seen {
            events.wait(BETWEEN);
        } else {
            // before the next look: the watched folders may be gone
            events = Events::of(&path);
            seen = now;
            let _ = tell.try_send(());
        }
    }
}

/// Without kernel events, it only looks.
#[cfg(not(target_os = "linux"))]
struct Events;

#[cfg(not(target_os = "linux"))]
impl Events {
    fn of(_: &std::path::Path) -> Self {
        Self
    }

    fn wait(&self, longest: Duration) {
        thread::sleep(longest);
    }
}
