//! What follows a change: a signal, or a command without a shell.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::{
            fs::{MetadataExt, OpenOptionsExt},
            process::ExitStatusExt,
        },
    },
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    fcntl::OFlag,
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, geteuid},
};
use tokio::{
    process::{Child, Command},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    children::{self, Own},
    settings::files::After,
};

/// Where to look for a command if the agent has no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the signal or command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error("{program} did not start: {source}")]
    NotStarted { program: String, source: io::Error },
    #[error("{program} ended with {}", shown(*status))]
    Failed { program: String, status: ExitStatus },
    #[error("{program} took longer than {within:?} and was killed: see why, or set within")]
    TooLong { program: String, within: Duration },
    #[error("{pid_file} names no process that could be signalled: {why}")]
    NotSignalled { pid_file: String, why: String },
}

pub(super) async fn follow(after: &After) -> Result<(), NotDone> {
    match after {
        After::Command { command, within } => run(command, *within).await,
        After::Signal { signal, pid_file } => {
            let (path, signal) = (pid_file.clone(), *signal);
            let signalled = spawn_blocking(move || {
                let pid = process(&path)?;
                kill(pid, signal).map_err(|error| error.desc().to_owned())
            });
            let signalled = signalled.await.map_err(|error| error.to_string());
            signalled.flatten().map_err(|why| NotDone::NotSignalled {
                pid_file: pid_file.display().to_string(),
                why,
            })
        }
    }
}

/// The command runs in `/`, with PATH as its only variable. It reads nothing, its output goes to the agent's log, and it gets no other
/// descriptor.
async fn run(command: &[String], within: Duration) -> Result<(), NotDone> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let program = || program.clone();
    let not_started = |source| NotDone::NotStarted {
        program: program(),
        source,
    };
    let log = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(program());
    command
        .args(arguments)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_else(|| PATH.into()))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log().map_err(not_started)?)
        .stderr(log().map_err(not_started)?)
        .process_group(0)
        .kill_on_drop(true);
    // the program may be on a server that does not answer
    let spawned = spawn_blocking(move || children::spawn(&mut command)).await;
    let spawned = spawned.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (child, own) = spawned.map_err(not_started)?;
    let mut group = Group { child, _own: own };
    match timeout(within, group.child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(NotDone::Failed {
            program: program(),
            status,
        }),
        Ok(Err(source)) => Err(not_started(source)),
        // no wait for its end: a command that has become root (sudo) cannot be killed, and the next version must be written
        Err(_) => Err(NotDone::TooLong {
            program: program(),
            within,
        }),
    }
}

/// A command that leads its own process group. If it is dropped before the command ends, the whole group is killed: the time is over,
/// or the agent ends.
struct Group {
    child: Child,
    _own: Own,
}

impl Drop for Group {
    fn drop(&mut self) {
        // no number after its end: it may be another process's
        let leader = self.child.id().and_then(|id| id.try_into().ok());
        if let Some(leader) = leader {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

fn shown(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// The process that a file names. Unless root or the agent's user owns the file, the process must belong to the file's owner.
fn process(pid_file: &Path) -> Result<Pid, String> {
    let a_link = || "it is a link: name the file itself".to_owned();
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(code) if code == nix::Error::ELOOP as i32 => a_link(),
        _ => error.to_string(),
    };
    // opening a pipe would wait for a writer; a link leads to a file whose owner does not know of it, as /proc/PID/stat
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(pid_file)
        .map_err(failed)?;
    let is = file.metadata().map_err(failed)?;
    if is.nlink() > 1 {
        return Err(a_link());
    }
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).map_err(failed)?;
    let pid = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    // 0 and negative numbers name process groups
    let pid = pid
        .filter(|pid| *pid > 0 && is.is_file())
        .map(Pid::from_raw);
    let pid = pid.ok_or_else(|| "it holds no process's number".to_owned())?;
    if is.uid() != 0 && is.uid() != geteuid().as_raw() {
        let owner = fs::metadata(format!("/proc/{pid}")).map(|of| of.uid());
        if owner.ok() != Some(is.uid()) {
            return Err(format!(
                "it belongs to user {}, and process {pid} does not",
                is.uid()
            ));
        }
    }
    Ok(pid)
}
