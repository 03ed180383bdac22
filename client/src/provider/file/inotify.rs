//! The kernel's notification that something happened to a file.

use std::{os::fd::AsFd, path::Path, thread::sleep, time::Duration};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};

/// Events at a path, and in its folder, where a link to it is replaced.
pub(super) struct Events(Option<Inotify>);

impl Events {
    /// There are no events if the kernel has no more watches, or if there is nothing to watch yet.
    pub(super) fn of(path: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        // a file is not read before its writer has closed it
        let of_interest = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        if let Ok(inotify) = &inotify {
            for watched in [path.parent(), Some(path)].into_iter().flatten() {
                let _ = inotify.add_watch(watched, of_interest);
            }
        }
        Self(inotify.ok())
    }

    /// Waits until something happens, or for this long.
    pub(super) fn wait(&self, longest: Duration) {
        let Some(inotify) = &self.0 else {
            return sleep(longest);
        };
        let limit = PollTimeout::try_from(longest).unwrap_or(PollTimeout::NONE);
        let mut queue = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        if poll(&mut queue, limit).is_err() || inotify.read_events().is_err() {
            // a signal, or nothing happened; in any other case, this prevents a busy loop
            sleep(Duration::from_millis(1));
        }
    }
}
