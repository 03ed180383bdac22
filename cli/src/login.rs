//! Logins from where the operator sits, with the function's own rule on what the server's answer means.

use std::{path::PathBuf, time::Duration};

use secret_rotation::{
    document::Document,
    settings::{Settings, SettingsError},
    target::{
        Login, Target, TargetError,
        postgres::{Kept, Limits, Postgres, Roots},
    },
};

/// A person waits for it.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(10),
    statement: Duration::from_secs(10),
};

/// Tries credentials.
#[derive(Debug)]
pub struct Logins {
    settings: Settings,
    roots: Roots,
    kept: Kept,
}

impl Logins {
    /// The roots in the PEM file are trusted beside RDS's and the public ones.
    ///
    /// # Errors
    ///
    /// None that is known of: no setting of the function's is looked at.
    pub fn new(ca_file: Option<PathBuf>) -> Result<Self, SettingsError> {
        Ok(Self {
            settings: Settings::read(|_| None)?,
            roots: Roots::new(ca_file),
            kept: Kept::default(),
        })
    }

    /// Whether the server lets this credential in. The session ends at once.
    ///
    /// # Errors
    ///
    /// The server did not say.
    pub async fn accepts(&self, document: &Document) -> Result<bool, TargetError> {
        let postgres = Postgres::new(&self.roots, &self.kept, &self.settings, LIMITS);
        let login = postgres.log_in(document).await?;
        let accepted = matches!(login, Login::Accepted(_));
        drop(login);
        postgres.disconnect().await;
        Ok(accepted)
    }
}
