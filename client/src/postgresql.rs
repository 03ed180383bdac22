//! What a login to PostgreSQL takes from a version of a secret, whatever the driver.

use rotating_secret_document::shown_engine;
use secrecy::SecretString;

use crate::credential::Credential;

/// A login: what the secret decides of it.
pub(crate) struct Login<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) password: &'a SecretString,
    pub(crate) database: Option<&'a str>,
    pub(crate) tls: bool,
}

/// A version of a secret is not one to log in to PostgreSQL with.
#[derive(Debug, thiserror::Error)]
#[error("version {version} of {secret} {reason}")]
pub struct NotALogin {
    // boxed, because an error that carries this one is to stay small
    secret: Box<str>,
    version: Box<str>,
    reason: Box<str>,
}

impl<'a> Login<'a> {
    /// What this version of that secret has for it.
    ///
    /// # Errors
    ///
    /// A field is missing or cannot be read, or the secret is of another engine: that of MySQL has the same fields.
    pub(crate) fn of(secret: &str, credential: &'a Credential) -> Result<Self, NotALogin> {
        let not = |reason: String| NotALogin {
            secret: secret.into(),
            version: credential.version().into(),
            reason: reason.into(),
        };
        if let Some(reason) = credential.wrong() {
            return Err(not(reason.to_string()));
        }
        let engine = credential.engine().unwrap_or("postgres");
        if !engine.to_lowercase().contains("postgres") {
            let engine = shown_engine(engine);
            return Err(not(format!(
                "names the engine \"{engine}\", and this logs in to PostgreSQL: name the secret of a PostgreSQL database, or \
                 leave the engine out"
            )));
        }
        let missing = |field| {
            not(format!(
                "has no {field}: store RDS's JSON, with host, username and password"
            ))
        };
        Ok(Self {
            host: credential.host().ok_or_else(|| missing("host"))?,
            port: credential.port(),
            user: credential.user().ok_or_else(|| missing("username"))?,
            password: credential.password().ok_or_else(|| missing("password"))?,
            database: credential.database(),
            tls: credential.tls(),
        })
    }
}
