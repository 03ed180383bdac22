//! `exec -- COMMAND`: runs a child with the secret in its environment. A new version restarts the child, or sends it a signal.
//!
//! | file | what |
//! |---|---|
//! | `child` | the process: its environment, its end |
//! | `environment` | the variables that come from secrets |
//! | `changes` | waits for another version, of the environment and of files |
//! | `signals` | the signals that are passed on to the child |

mod changes;
mod child;
mod environment;
mod signals;

use std::{io, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};

use self::{
    changes::Changes,
    child::Child,
    environment::Environment,
    signals::{Signals, is_end},
};
use crate::{
    Error,
    arguments::Exec,
    files::Files,
    followed::{Followed, OnRefusal},
    listen,
    settings::Settings,
    upstream::Upstream,
};

/// How long to wait for the first versions and the required files.
const START: Duration = Duration::from_secs(60);

/// Runs the command until it ends. Returns its status as a shell does: 128 plus the signal's number if a signal ended it.
///
/// # Errors
///
/// The secrets cannot be read, files cannot be written, or the command does not start.
pub async fn run(settings: Settings, exec: &Exec) -> Result<u8, Error> {
    let environment = Environment::of(exec);
    let aws = Upstream::new(&settings).await?.aws();
    let followed = Followed::new(&aws, &settings, environment.secrets(), OnRefusal::Keep)?;
    listen::start(&settings, &followed)?;
    let files = Files::start(&settings, &followed)?;
    // from here on a signal does not end this process at once: it would leave the child behind
    let mut signals = Signals::new().map_err(Error::Signals)?;
    let mut changes = Changes::new(&environment, &followed, &files);
    let first = async {
        let there = async {
            environment.first(&followed).await?;
            files.ready().await;
            Ok::<_, Error>(())
        };
        let not_ready = |_| not_ready(&environment, &followed, &files);
        timeout(START, there).await.map_err(not_ready)??;
        changes.seen().await;
        // not before: a version may have come meanwhile
        environment.current(&followed).await
    };
    let variables = tokio::select! {
        signal = signals.next(is_end) => return Ok(signals::status(signal)),
        first = first => first?,
    };
    let start = |variables| {
        Child::start(exec, &settings, variables).map_err(|source| not_started(exec, source))
    };
    let mut child = start(variables)?;
    let mut is_ending = false;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status),
            signal = signals.next(|_| true) => {
                is_ending |= is_end(signal);
                pass(signal, &signals, &child);
            }
            () = changes.next(), if !is_ending => {
                if let Some(signal) = exec.signal {
                    tracing::info!(%signal, "a new version: the child gets a signal");
                    child.signal(signal);
                    continue;
                }
                let variables = match environment.current(&followed).await {
                    Ok(variables) => variables,
                    Err(error) => {
                        tracing::warn!(%error, "the child keeps the version before: rotate again");
                        continue;
                    }
                };
                tracing::info!("a new version: the child restarts");
                let (status, told_to_end) = end(&mut child, &mut signals, exec.stop_within).await;
                if told_to_end {
                    return Ok(status);
                }
                child = start(variables)?;
            }
        }
    }
}

/// Ends the child: SIGTERM, then SIGKILL after `within`. Also returns whether a signal to end this process came in between.
async fn end(child: &mut Child, signals: &mut Signals, within: Duration) -> (u8, bool) {
    child.signal(Signal::SIGTERM);
    let mut told_to_end = false;
    let mut over = std::pin::pin!(sleep(within));
    loop {
        tokio::select! {
            status = child.wait() => return (status, told_to_end),
            signal = signals.next(|_| true) => {
                told_to_end |= is_end(signal);
                pass(signal, signals, child);
            }
            () = &mut over => {
                tracing::warn!(?within, "the child did not end in time, and is killed");
                child.signal(Signal::SIGKILL);
                return (child.wait().await, told_to_end);
            }
        }
    }
}

fn pass(signal: Signal, signals: &Signals, child: &Child) {
    if !signals.is_sent_twice(signal) {
        child.signal(signal);
    }
}

/// The secrets and files that the child still waits for.
fn not_ready(environment: &Environment, followed: &Followed, files: &Files) -> Error {
    let is_unread = |id: &&str| {
        followed
            .get(id)
            .is_none_or(|secret| secret.current().is_err())
    };
    let secrets = environment.secrets().filter(is_unread).map(str::to_owned);
    Error::NotReady {
        missing: secrets.chain(files.missing()).collect(),
    }
}

fn not_started(exec: &Exec, source: io::Error) -> Error {
    let command = exec
        .command
        .first()
        .map(|program| program.display().to_string());
    Error::NotStarted {
        command: command.unwrap_or_default(),
        source,
    }
}
