//! A process of an execution environment: the function, or an extension.

use std::{
    fs::File,
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use crate::guard::Guard;

/// It leads its own process group. Dropping it kills the group's leader.
pub(super) struct Process {
    child: Child,
    _guard: Guard,
}

impl Process {
    /// Starts it. It writes to the log.
    pub(super) fn start(command: &mut Command, log: &File) -> io::Result<Self> {
        let mut guard = Guard::over(None)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(id) = child.id() {
            guard.watch(id, "KILL")?;
        }
        Ok(Self {
            child,
            _guard: guard,
        })
    }

    /// Its id, while it lives.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills it, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        // an error means that the process has ended already
        let _ = self.child.kill().await;
    }

    /// Sends its group a signal.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(id) = self.id().and_then(|id| i32::try_from(id).ok()) {
            // an error means that the group has ended already
            let _ = killpg(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        // reap it here: the guard would wait for a zombie process
        while let Ok(None) = self.child.try_wait() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
