//! Why a rehearsal failed.

use std::{io, path::PathBuf};

/// What happened, then what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// The secret's client cannot be made.
    #[error(transparent)]
    Client(#[from] rotating_secret::BuildError),
    /// The secret cannot be read.
    #[error(transparent)]
    Read(#[from] rotating_secret::Error),
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Database(String),
    /// The application does not start.
    #[error(transparent)]
    Application(#[from] crate::application::Error),
    /// The report cannot be written.
    #[error("the report cannot be written to {} ({reason}): name another file with --report", file.display())]
    Report { file: PathBuf, reason: io::Error },
    /// The report cannot be drawn.
    #[error("the report cannot be drawn ({0}): this is a fault of rotatectl")]
    NotDrawn(String),
}
