//! A scratch PostgreSQL server: a real one, in a temporary folder, with TLS and scram-sha-256.
//!
//! | file | what |
//! |---|---|
//! | `binaries` | finds the server's binaries |
//! | `certificates` | a new CA, and the server's certificates |
//! | `server` | the processes: initdb and postgres |
//! | `standby` | a streaming copy |
//! | `questions` | logins and statements for tests |

mod binaries;
mod certificates;
mod questions;
mod server;
mod standby;

use std::io;

pub use questions::Logins;
pub use server::{Postgres, Settings};

/// Why the server does not start or answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// The server's binaries were not found.
    #[error(
        "no PostgreSQL server was found in the usual places (POSTGRES_BIN, PATH, pg_config, Debian's and \
         Homebrew's folders): install it with  apt-get install postgresql  or  brew install postgresql@17"
    )]
    NotInstalled,
    /// This process is root, and there is no other user.
    #[error(
        "PostgreSQL refuses to run as root, and neither the user postgres nor the user nobody exists: \
         add one with  useradd --system postgres"
    )]
    NoUser,
    /// A file or a process failed.
    #[error("cannot {doing}: {source}; check that the temporary folder is writable and not full")]
    Io {
        doing: &'static str,
        source: io::Error,
    },
    /// A PostgreSQL program failed.
    #[error("{program} failed; it said:\n{said}")]
    Program { program: &'static str, said: String },
    /// The server does not start.
    #[error("the server did not start; its log says:\n{log}")]
    NotReady { log: String },
    /// rcgen failed.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A standby cannot sign certificates.
    #[error(
        "this server is a standby and does not have the CA's key: ask its primary for a certificate"
    )]
    NoAuthority,
    /// A connection or a statement failed.
    #[error("the server refused: {0}")]
    Refused(#[from] tokio_postgres::Error),
}

impl Error {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
