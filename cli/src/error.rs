//! Why a command failed: what happened, then what to do.

use std::{io, process::ExitCode, time::Duration};

use serde_json::{Value, json};

use crate::{aws, compromised, doctor, drill, init, operate, report, rotate, terminal::span};

/// One variant for each command, plus the errors that all commands share.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[expect(missing_docs, reason = "each is the error of the module of that name")]
pub enum Error {
    Aws(#[from] aws::Error),
    Report(#[from] report::Error),
    Rotate(#[from] rotate::Error),
    Operate(#[from] operate::Error),
    Compromised(#[from] compromised::Error),
    Doctor(#[from] doctor::Error),
    Drill(#[from] drill::Error),
    Init(#[from] init::Error),
    #[cfg(feature = "local")]
    Local(#[from] local::command::Error),
    /// An option that has no effect.
    #[error("{local} does not call AWS and would ignore {option}: leave it out")]
    NotAws {
        local: &'static str,
        option: &'static str,
    },
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
    /// The time limit passed.
    #[error("not finished within {}: raise --timeout, or run with --verbose to see which call does not return", span(*.limit))]
    TimedOut {
        limit: Duration,
    },
}

impl Error {
    /// The service's error, if it stopped the command at the start.
    fn aws(&self) -> Option<&aws::Error> {
        match self {
            Self::Aws(error)
            | Self::Report(report::Error::Aws(error))
            | Self::Rotate(rotate::Error::Aws(error))
            | Self::Operate(operate::Error::Aws(error))
            | Self::Doctor(doctor::Error::Aws(error))
            | Self::Init(init::Error::Aws(error))
            | Self::Drill(drill::Error::Aws(error)) => Some(error),
            // compromised always prints its own record
            _ => None,
        }
    }

    /// For scripts, if stdout has no other result: a stable code and the message.
    pub fn json(&self) -> Option<Value> {
        let code = self.aws()?.code();
        Some(json!({ "error": { "code": code, "message": self.to_string() } }))
    }

    /// 1; or 3 if something is unknown but nothing is known to be wrong; or 130 after Ctrl-C.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Rotate(rotate::Error::NotKnown { .. }) => ExitCode::from(3),
            Self::Init(error) if error.is_unknown() => ExitCode::from(3),
            Self::Rotate(rotate::Error::Interrupted) => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}
