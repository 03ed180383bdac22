//! Why a command did not do what it was asked to: what happened, then what to do.

use std::{io, process::ExitCode, time::Duration};

use crate::{aws, compromised, doctor, drill, init, operate, rotate, status, terminal::span};

/// One kind for each command, and what comes before any.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[expect(missing_docs, reason = "each is the error of the module of that name")]
pub enum Error {
    Aws(#[from] aws::Error),
    Status(#[from] status::Error),
    Rotate(#[from] rotate::Error),
    Operate(#[from] operate::Error),
    Compromised(#[from] compromised::Error),
    Doctor(#[from] doctor::Error),
    Drill(#[from] drill::Error),
    Init(#[from] init::Error),
    #[cfg(feature = "local")]
    Local(#[from] local::command::Error),
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
    /// The time is over.
    #[error("the time is over ({}): give it more with --timeout, or see what does not answer", span(*.limit))]
    TimedOut {
        limit: Duration,
    },
}

impl Error {
    /// 1; 3 if nothing is known to be wrong, and something is not known; 130 after Ctrl-C.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Rotate(rotate::Error::NotKnown { .. }) => ExitCode::from(3),
            Self::Init(error) if error.is_unknown() => ExitCode::from(3),
            Self::Rotate(rotate::Error::Interrupted) => ExitCode::from(130),
            _ => ExitCode::FAILURE,
        }
    }
}
