//! Children of this process: those that it starts, and in a container those that it inherits.
//!
//! The first process of a container inherits each process whose parent has ended, and must reap it. It must not reap a child
//! that it started itself: the code that started the child would lose its status.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::process::{Child, Command};

/// Children whose status someone waits for. The lock is held while one starts: its end must not be seen before it is listed.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// How soon to look again while the end of such a child is not seen yet.
const AGAIN: Duration = Duration::from_millis(50);

fn own() -> MutexGuard<'static, BTreeSet<u32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks a child as waited for, until it is dropped.
pub struct Own(Option<u32>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            own().remove(&pid);
        }
    }
}

/// Starts a child that the caller waits for. The caller keeps `Own` until then.
///
/// # Errors
///
/// The child does not start.
pub fn spawn(command: &mut Command) -> io::Result<(Child, Own)> {
    let mut own = own();
    let child = command.spawn()?;
    let pid = child.id();
    own.extend(pid);
    Ok((child, Own(pid)))
}

/// Reaps inherited processes, if this process is the first of its container.
#[cfg(target_os = "linux")]
pub async fn remove_orphans() {
    use tokio::{
        signal::unix::{SignalKind, signal},
        time::sleep,
    };
    let Ok(mut ended) = signal(SignalKind::child()) else {
        return;
    };
    while nix::unistd::getpid().as_raw() == 1 {
        match linux::remove() {
            true => drop(ended.recv().await),
            false => sleep(AGAIN).await,
        }
    }
}

/// Other systems have no containers.
#[cfg(not(target_os = "linux"))]
pub async fn remove_orphans() {}

#[cfg(target_os = "linux")]
mod linux {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};

    /// Returns false if there may be more: a child of our own has ended, and hides them.
    pub(super) fn remove() -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        // a child starts now: look again
        let Ok(own) = super::OWN.try_lock() else {
            return false;
        };
        loop {
            let (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) =
                waitid(Id::All, look).unwrap_or(WaitStatus::StillAlive)
            else {
                return true;
            };
            if u32::try_from(pid.as_raw()).is_ok_and(|pid| own.contains(&pid)) {
                return false;
            }
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        }
    }
}
