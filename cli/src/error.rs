//! Why a command did not do what it was asked to: what happened, then what to do.

use std::io;

use crate::{aws, compromised, doctor, drill, rotate, status};

/// One kind for each command, and what comes before any.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[expect(missing_docs, reason = "each is the error of the module of that name")]
pub enum Error {
    Aws(#[from] aws::Error),
    Status(#[from] status::Error),
    Rotate(#[from] rotate::Error),
    Compromised(#[from] compromised::Error),
    Doctor(#[from] doctor::Error),
    Drill(#[from] drill::Error),
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where it goes")]
    Output(#[from] io::Error),
}
