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
use tokio::{process::Command, time::timeout};

use crate::{children, settings::files::After};

/// Where to look for a command if the agent has no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the signal or command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    #[error("{program} did not start: {source}")]
    NotStarted { program: String, source: io::Error },
    #[error("{program} ended with {}", shown(*status))]
    Failed { program: String, status: ExitStatus },
    #[error("{program} took longer than {within:?} and was ended: see why, or set within")]
    TooLong { program: String, within: Duration },
    #[error("{pid_file} names no process that could be signalled: {why}")]
    NotSignalled { pid_file: String, why: String },
}

pub(super) async fn follow(after: &After) -> Result<(), NotDone> {
    match after {
        After::Command { command, within } => run(command, *within).await,
        After::Signal { signal, pid_file } => {
            let signalled = process(pid_file)
                .and_then(|pid| kill(pid, *signal).map_err(|error| error.desc().to_owned()));
            signalled.map_err(|why| NotDone::NotSignalled {
                pid_file: pid_file.display().to_string(),
                why,
            })
        }
    }
}

/// The command runs in `/`, with PATH as its only variable. It reads nothing, its output goes to the agent's log, and it gets no other
/// descriptor. It leads its own process group, which is killed when the time is over.
async fn run(command: &[String], within: Duration) -> Result<(), NotDone> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let not_started = |source| NotDone::NotStarted {
        program: program.clone(),
        source,
    };
    let log = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(program);
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
    let (mut child, _own) = children::spawn(&mut command).map_err(not_started)?;
    let group = child
        .id()
        .and_then(|id| id.try_into().ok())
        .map(Pid::from_raw);
    match timeout(within, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(NotDone::Failed {
            program: program.clone(),
            status,
        }),
        Ok(Err(source)) => Err(not_started(source)),
        Err(_) => {
            if let Some(group) = group {
                let _ = killpg(group, Signal::SIGKILL);
            }
            let _ = child.wait().await;
            Err(NotDone::TooLong {
                program: program.clone(),
                within,
            })
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
    let failed = |error: io::Error| error.to_string();
    // opening a pipe would wait for a writer
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(pid_file)
        .map_err(failed)?;
    let is = file.metadata().map_err(failed)?;
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
