//! Children of this process: those that it starts, and in a container those that nobody else waits for.
//!
//! The first process of a container inherits each process whose parent has ended, and only it can remove what is left of it when it
//! ends. A child that this process starts is waited for where it was started, and must not be removed here: its status would be
//! lost.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::process::{Child, Command};

/// The children that are waited for. Held while one starts: until it is in here, its end must not be seen.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// How soon it is looked again, while the end of an own child is not seen yet.
const AGAIN: Duration = Duration::from_millis(50);

fn own() -> MutexGuard<'static, BTreeSet<u32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks a child as waited for, as long as it lives.
pub struct Own(Option<u32>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            own().remove(&pid);
        }
    }
}

/// Starts a child that its caller waits for. Keep the second until then.
///
/// # Errors
///
/// It does not start.
pub fn spawn(command: &mut Command) -> io::Result<(Child, Own)> {
    let mut own = own();
    let child = command.spawn()?;
    let pid = child.id();
    own.extend(pid);
    Ok((child, Own(pid)))
}

/// Removes what is left of processes that this one inherits, if it is the first of its container.
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

/// Elsewhere there are no containers.
#[cfg(not(target_os = "linux"))]
pub async fn remove_orphans() {}

#[cfg(target_os = "linux")]
mod linux {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};

    /// Returns false if there may be more: an own child has ended, and hides them.
    pub(super) fn remove() -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let own = super::own();
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
