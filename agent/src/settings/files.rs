//! `[[files]]`: which secrets are written to files, and how. `own_files` parses it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use nix::{
    sys::signal::Signal,
    unistd::{Gid, Uid},
};

/// A folder whose files are always of one version of one secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The secret's id.
    pub secret: String,
    /// The folder that holds `current`.
    pub directory: PathBuf,
    /// Owner of the files; the agent's own user if not set.
    pub owner: Owner,
    /// The files' mode.
    pub mode: u32,
    /// Accepts folders above that others may write to, such as a volume that containers share.
    pub shared_parent: bool,
    /// Whether `/ready` and `exec` wait for this folder.
    pub required: bool,
    /// What follows a change.
    pub after: Option<After>,
    /// The files.
    pub files: Vec<File>,
}

/// Who owns the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Its user.
    pub user: Option<Uid>,
    /// Its group.
    pub group: Option<Gid>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// How it is written.
    pub format: Format,
}

/// How a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// libpq's connection service file.
    PgService {
        /// The service's name.
        service: String,
        /// Parameters of libpq that add to the secret's or replace them.
        parameters: BTreeMap<String, String>,
    },
    /// libpq's password file.
    Pgpass,
    /// PgBouncer's auth_file.
    Userlist,
    /// Variables, for a shell and for dotenv.
    Env {
        /// From a variable's name to a key of the document. Empty: libpq's variables.
        values: BTreeMap<String, String>,
    },
    /// The document.
    Json,
    /// A value as it is.
    Plain {
        /// Its key in the document; the whole secret if not set.
        key: Option<String>,
    },
}

impl Format {
    /// Its name in the settings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PgService { .. } => "pg_service",
            Self::Pgpass => "pgpass",
            Self::Userlist => "userlist",
            Self::Env { .. } => "env",
            Self::Json => "json",
            Self::Plain { .. } => "plain",
        }
    }
}

/// What follows a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// A signal to the process that this file names.
    Signal {
        /// The signal.
        signal: Signal,
        /// The file with the process's id.
        pid_file: PathBuf,
    },
    /// A command, run without a shell.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// How long it may take.
        within: Duration,
    },
}

impl Folder {
    /// Whether the format also writes the previous version.
    pub fn needs_previous(&self) -> bool {
        let mut formats = self.files.iter().map(|file| &file.format);
        formats.any(|format| *format == Format::Userlist)
    }
}
