//! Logins from where the operator sits, with the function's own rule on what the server's answer means.

use std::{path::PathBuf, time::Duration};

use secret_rotation::{
    document::Document,
    engine::{
        Engine, EngineError, Limits, Login,
        api_key::{ApiKey, Https},
        engines::Engines,
        postgres::{Kept, Postgres, Roots},
    },
    settings::{Settings, SettingsError},
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
    https: Https,
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
            roots: Roots::new(ca_file.clone()),
            https: Https::new(ca_file),
            kept: Kept::default(),
        })
    }

    /// Whether the server lets this credential in, or the service takes this key. The session ends at once.
    ///
    /// # Errors
    ///
    /// The server did not say.
    pub async fn accepts(&self, document: &Document) -> Result<bool, EngineError> {
        let settings = Settings {
            // a key goes where its own secret says, as the function's operator has allowed it to
            allowed_hosts: vec![document.server()],
            ..self.settings.clone()
        };
        let engines = Engines {
            postgres: Postgres::new(&self.roots, &self.kept, &settings, LIMITS),
            api_key: ApiKey::new(&self.https, &settings, LIMITS),
        };
        let login = engines.log_in(document).await?;
        let accepted = matches!(login, Login::Accepted(_));
        drop(login);
        engines.disconnect().await;
        Ok(accepted)
    }
}
