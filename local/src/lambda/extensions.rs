//! The extensions of an environment: every file of a folder is started as one.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Duration,
};

use chrono::Utc;
use futures_util::future::select_all;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::{process::Command, time::timeout};

use super::{
    FunctionSettings,
    extensions_api::{Extension, ExtensionsApi},
    process::Process,
};
use crate::invocation::FunctionError;

/// How long extensions have to end after SHUTDOWN (docs).
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Their processes, and what they have said.
pub(super) struct Extensions {
    pub(super) api: ExtensionsApi,
    /// Each with its name.
    processes: Vec<(String, Process)>,
}

impl Extensions {
    /// Starts the files of the folder in the settings. `command` makes the command of a file; the API must answer soon.
    pub(super) fn start(
        function: &FunctionSettings,
        command: impl Fn(&Path) -> Command,
        log: &File,
    ) -> io::Result<Self> {
        let mut files = match &function.extensions {
            Some(folder) => fs::read_dir(folder)?
                .map(|file| file.map(|file| file.path()))
                .collect::<io::Result<Vec<_>>>()?,
            None => Vec::new(),
        };
        files.sort();
        let name = |file: &Path| {
            file.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let names = files.iter().map(|file| name(file));
        let api = ExtensionsApi::new(function, names);
        let mut processes = Vec::new();
        for file in &files {
            let named = |error| io::Error::other(format!("{}: {error}", file.display()));
            let process = Process::start(&mut command(file), log).map_err(named)?;
            processes.push((name(file), process));
        }
        Ok(Self { api, processes })
    }

    /// Waits until all are registered.
    pub(super) async fn registered(&mut self) -> Result<(), FunctionError> {
        self.until(Extension::is_registered).await
    }

    /// Waits until all wait for an event.
    pub(super) async fn ready(&mut self) -> Result<(), FunctionError> {
        self.until(Extension::waits).await
    }

    async fn until(&mut self, is: fn(&Extension) -> bool) -> Result<(), FunctionError> {
        let api = self.api.clone();
        tokio::select! {
            biased;
            error = api.failed() => Err(error),
            () = api.all(is) => Ok(()),
            error = crashed(&mut self.processes) => Err(error),
        }
    }

    /// Waits until one reports an error, or ends.
    pub(super) async fn failed(&mut self) -> FunctionError {
        tokio::select! {
            biased;
            error = self.api.failed() => error,
            error = crashed(&mut self.processes) => error,
        }
    }

    pub(super) fn are_alive(&mut self) -> bool {
        self.processes
            .iter_mut()
            .all(|(_, process)| process.is_alive())
    }

    pub(super) fn signal(&self, signal: Signal) {
        for (_, process) in &self.processes {
            process.signal(signal);
        }
    }

    /// Sends SHUTDOWN, and kills those that do not end in time. Returns their names.
    pub(super) async fn shut_down(&mut self, reason: &str) -> Vec<String> {
        let deadline = (Utc::now() + SHUTDOWN).timestamp_millis();
        self.api.send(&json!({
            "eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline,
        }));
        let end = async {
            for (_, process) in &mut self.processes {
                // those that are not registered for it do not end
                let _ = process.wait().await;
            }
        };
        if timeout(SHUTDOWN, end).await.is_ok() {
            return Vec::new();
        }
        let late = self.processes.iter_mut().filter_map(|(name, process)| {
            let is_late = process.is_alive();
            is_late.then(|| name.clone())
        });
        let late = late.collect();
        self.kill().await;
        late
    }

    pub(super) async fn kill(&mut self) {
        for (_, process) in &mut self.processes {
            process.kill().await;
        }
    }
}

/// Waits until one of them has ended.
async fn crashed(processes: &mut [(String, Process)]) -> FunctionError {
    let mut ends = Vec::new();
    for (name, process) in processes {
        ends.push(Box::pin(async move { (name, process.wait().await) }));
    }
    if ends.is_empty() {
        return std::future::pending().await;
    }
    let ((name, status), ..) = select_all(ends).await;
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    FunctionError {
        error_type: "Extension.Crash".to_owned(),
        error_message: format!("{name}: {status}"),
    }
}
