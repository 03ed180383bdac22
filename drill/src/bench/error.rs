//! Why something cannot be measured.

use std::io;

use local::postgres;

use crate::demo;

/// What happened, then what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A program does not run, or fails.
    #[error("{program} failed ({said}): see what `make bench` builds before it measures")]
    Program { program: String, said: String },
    /// A program's output is not what it was.
    #[error("{program} printed something else than its figures ({source}): build it again")]
    Figures {
        program: String,
        source: serde_json::Error,
    },
    /// A client does not start.
    #[error("a client does not start: {0}")]
    Client(String),
    /// The world, a rotation or the database failed.
    #[error(transparent)]
    World(#[from] demo::Error),
    /// A file failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        Self::World(error.into())
    }
}
