//! `[[files]]`: which secrets are written to files, and how. The file's own shape is in `own_files`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use nix::{
    sys::signal::Signal,
    unistd::{Gid, Uid},
};

/// A folder of files that are always of one version of one secret.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The secret's id.
    pub secret: String,
    /// The folder that holds `current`.
    pub directory: PathBuf,
    /// Who owns the files; the agent's own user where it is not set.
    pub owner: Owner,
    /// The files' mode.
    pub mode: u32,
    /// Whether others may write to the folders above, as in a volume that containers share.
    pub shared_parent: bool,
    /// Whether `/ready` and `exec` wait for it.
    pub required: bool,
    /// What follows a change.
    pub after: Option<After>,
    /// The files.
    pub files: Vec<File>,
}

/// Who owns the files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner {
    /// Its user.
    pub user: Option<Uid>,
    /// Its group.
    pub group: Option<Gid>,
}

/// One file.
#[derive(Clone, Debug)]
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
        /// More of libpq's parameters, and in place of the secret's.
        parameters: BTreeMap<String, String>,
    },
    /// libpq's password file.
    Pgpass,
    /// PgBouncer's auth_file.
    Userlist,
    /// Variables, for a shell and for dotenv.
    Env {
        /// The key in the document by the variable's name; libpq's variables where it is empty.
        values: BTreeMap<String, String>,
    },
    /// The document.
    Json,
    /// A value as it is.
    Plain {
        /// Its key in the document; the whole secret where it is not set.
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
#[derive(Clone, Debug)]
pub enum After {
    /// A signal to the process that this file names.
    Signal {
        /// The signal.
        signal: Signal,
        /// The file with the process's id.
        pid_file: PathBuf,
    },
    /// A command, which no shell reads.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// How long it may take.
        within: Duration,
    },
}

impl Folder {
    /// Whether the version before the current one is written too.
    pub fn needs_previous(&self) -> bool {
        let mut formats = self.files.iter().map(|file| &file.format);
        formats.any(|format| *format == Format::Userlist)
    }
}
