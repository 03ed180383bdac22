//! Logins from the operator's machine. The function's own code interprets the server's answer.

use std::{env, path::PathBuf, time::Duration};

use secret_rotation::{
    document::Document,
    engine::{
        Disconnect, Engine, EngineError, Limits, Login,
        api_key::{ApiKey, Https},
        engines::Engines,
        postgres::{Kept, Postgres, Roots},
    },
    settings::{AllowedHost, Settings, SettingsError},
};

/// Short limits, because a person waits.
const LIMITS: Limits = Limits {
    step: Duration::from_secs(30),
    connect: Duration::from_secs(10),
    statement: Duration::from_secs(10),
};

/// A PEM file of roots to trust for the database: the given one, or that of TLS_CA_FILE.
pub(crate) fn ca_file(given: Option<&PathBuf>) -> Option<PathBuf> {
    let named = || env::var_os("TLS_CA_FILE").filter(|file| !file.is_empty());
    given.cloned().or_else(|| named().map(PathBuf::from))
}

/// Tries credentials.
#[derive(Debug)]
pub struct Logins {
    settings: Settings,
    hosts_are_known: bool,
    roots: Roots,
    https: Https,
    kept: Kept,
}

impl Logins {
    /// Trusts the roots in the PEM file, RDS's roots and the public ones. Sends API keys only to the function's ALLOWED_HOSTS, because a
    /// secret's document can name any host.
    ///
    /// # Errors
    ///
    /// A setting of the function is invalid. This is not expected: no other setting is read.
    pub fn new(
        ca_file: Option<PathBuf>,
        allowed_hosts: Option<Vec<AllowedHost>>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            hosts_are_known: allowed_hosts.is_some(),
            settings: Settings {
                allowed_hosts: allowed_hosts.unwrap_or_default(),
                ..Settings::read(|_| None)?
            },
            roots: Roots::new(ca_file.clone()),
            https: Https::new(ca_file),
            kept: Kept::default(),
        })
    }

    /// The PostgreSQL engine, with these roots.
    pub(crate) fn postgres(&self) -> Postgres<'_> {
        Postgres::new(&self.roots, &self.kept, &self.settings, LIMITS)
    }

    /// Why a credential cannot be tried from here, if that is known without trying.
    pub fn obstacle(&self, document: &Document) -> Option<&'static str> {
        let unknown = document.api().is_some() && !self.hosts_are_known;
        unknown.then_some(
            "the function's ALLOWED_HOSTS cannot be read (lambda:GetFunctionConfiguration)",
        )
    }

    /// Whether the server accepts this credential, or the service this key. Closes the session at once.
    ///
    /// # Errors
    ///
    /// The server's answer was not clear.
    pub async fn accepts(&self, document: &Document) -> Result<bool, EngineError> {
        let engines = Engines {
            postgres: self.postgres(),
            api_key: ApiKey::new(&self.https, &self.settings, LIMITS),
        };
        let login = engines.log_in(document).await?;
        let accepted = matches!(login, Login::Accepted(_));
        drop(login);
        engines.disconnect().await;
        Ok(accepted)
    }
}
