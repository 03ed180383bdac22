//! The child.

use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use secrecy::ExposeSecret;
use tokio::process::{self, Command};

use super::environment::Variable;
use crate::{
    arguments::Exec,
    children::{self, Own},
    settings::Settings,
};

/// The variables that give the SDKs the agent's own credentials.
const CREDENTIALS: [&str; 13] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
];

pub(super) struct Child {
    process: process::Child,
    _own: Own,
}

impl Child {
    /// Starts it with this process's environment and these variables, without the agent's token and AWS credentials.
    pub(super) fn start(
        exec: &Exec,
        settings: &Settings,
        variables: Vec<Variable>,
    ) -> io::Result<Self> {
        let (program, arguments) = exec
            .command
            .split_first()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).kill_on_drop(true);
        if !exec.keep_aws_credentials {
            let own = settings.token_variables.iter().map(String::as_str);
            for name in CREDENTIALS.into_iter().chain(own) {
                command.env_remove(name);
            }
        }
        for Variable { name, value, .. } in variables {
            command.env(name, value.expose_secret());
        }
        let (process, own) = children::spawn(&mut command)?;
        Ok(Self { process, _own: own })
    }

    /// Passes a signal on, if the child still runs.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|pid| pid.try_into().ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits for the child to end, and returns its status.
    pub(super) async fn wait(&mut self) -> u8 {
        status(self.process.wait().await)
    }
}

fn status(ended: io::Result<ExitStatus>) -> u8 {
    let Ok(ended) = ended else { return u8::MAX };
    let of_a_signal = || ended.signal().map(|signal| 128 + signal);
    let status = ended
        .code()
        .or_else(of_a_signal)
        .and_then(|status| status.try_into().ok());
    status.unwrap_or(u8::MAX)
}
