//! A scratch PostgreSQL server: a real one, in a temporary folder, with TLS and scram-sha-256.
//!
//! | file | what |
//! |---|---|
//! | `binaries` | where the server's binaries are found |
//! | `certificates` | a CA made on the spot, and the server's certificates |
//! | `server` | the processes: initdb and postgres |
//! | `standby` | a streaming copy |
//! | `questions` | what a test asks a server |

mod binaries;
mod certificates;
mod questions;
mod server;
mod standby;

use std::io;

pub use questions::Logins;
pub use server::{Postgres, Settings};

/// Why there is no server, or no answer from it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// No binaries anywhere.
    #[error(
        "no PostgreSQL server is installed where it is looked for (POSTGRES_BIN, PATH, pg_config, Debian's and \
         Homebrew's folders): install it with  apt-get install postgresql  or  brew install postgresql@17"
    )]
    NotInstalled,
    /// Root, and nobody to be instead.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as: \
         add one with  useradd --system postgres"
    )]
    NoUser,
    /// A file or a process.
    #[error("cannot {doing}: {source}; is the temporary folder writable, and full?")]
    Io {
        doing: &'static str,
        source: io::Error,
    },
    /// A program of PostgreSQL's failed.
    #[error("{program} failed; it said:\n{said}")]
    Program { program: &'static str, said: String },
    /// The server does not come up.
    #[error("the server did not come up; its log says:\n{log}")]
    NotReady { log: String },
    /// rcgen.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A standby.
    #[error(
        "this server was not set up here and its CA is not at hand: ask its primary for a certificate"
    )]
    NoAuthority,
    /// A connection or a statement.
    #[error("the server refused: {0}")]
    Refused(#[from] tokio_postgres::Error),
}

impl Error {
    fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
