//! The options of a world.

use std::{path::PathBuf, time::Duration};

use crate::{
    postgres::{Postgres, Settings},
    secrets_manager::{Retry, labels::Promotion},
};

/// The options of a world.
#[derive(Debug)]
pub struct Options {
    /// The rotation function's executable.
    pub function: PathBuf,
    /// Environment variables of the function, besides those that the world sets.
    pub function_env: Vec<(String, String)>,
    /// How long an invocation may take.
    pub function_timeout: Duration,
    /// Starts a new process for each invocation, as Lambda may do: no step finds state of another one.
    pub cold_starts: bool,
    /// How a failed rotation is retried.
    pub retry: Retry,
    /// What happens to AWSPENDING when its version becomes AWSCURRENT.
    pub promotion: Promotion,
    /// Writes the function's log to stderr.
    pub show_log: bool,
    /// The endpoint's port, or 0 for any that is free.
    pub port: u16,
    pub(super) postgres: Server,
    pub(super) trusts_ca: bool,
    pub(super) key_service: bool,
}

#[derive(Debug)]
pub(super) enum Server {
    Shared,
    Own(Settings),
    Running(Box<Postgres>),
}

impl Options {
    /// A world on the PostgreSQL that this process shares, on any free port.
    pub fn new(function: impl Into<PathBuf>) -> Self {
        Self {
            function: function.into(),
            function_env: Vec::new(),
            function_timeout: Duration::from_secs(30),
            cold_starts: false,
            retry: Retry::default(),
            promotion: Promotion::default(),
            show_log: false,
            port: 0,
            postgres: Server::Shared,
            trusts_ca: true,
            key_service: false,
        }
    }

    /// Adds a service whose API key rotates.
    pub fn with_key_service(self) -> Self {
        Self {
            key_service: true,
            ..self
        }
    }

    /// Starts its own PostgreSQL with these settings.
    pub fn own_postgres(self, settings: Settings) -> Self {
        Self {
            postgres: Server::Own(settings),
            ..self
        }
    }

    /// Uses a PostgreSQL that runs already.
    pub fn on_postgres(self, postgres: Postgres) -> Self {
        Self {
            postgres: Server::Running(Box::new(postgres)),
            ..self
        }
    }

    /// Starts a function that does not trust the scratch server's CA.
    pub fn without_ca_file(self) -> Self {
        Self {
            trusts_ca: false,
            ..self
        }
    }
}
