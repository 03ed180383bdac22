//! A secret's fields as text, and its login under libpq's names, for files and environments.
//!
//! Anyone who can write the secret chooses the values. So each value is checked where it is written. An error names the key and
//! never the value.

use std::collections::HashMap;

use rotating_secret::Credential;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;

/// Why a value is not written. The text begins with its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {why}")]
pub struct Refused {
    key: String,
    why: String,
}

impl Refused {
    /// An error about this key; `why` continues the sentence.
    pub fn new(key: &str, why: impl Into<String>) -> Self {
        let (key, why) = (key.to_owned(), why.into());
        Self { key, why }
    }
}

/// A value, and the name under which programs know it.
pub type Named = (&'static str, SecretString);

/// The document's value under this key: a text as it is, a number and a boolean as they are written.
///
/// # Errors
///
/// The key is missing, or its value is an object, a list or null.
pub fn value(credential: &Credential, key: &str) -> Result<SecretString, Refused> {
    let text = credential.text();
    let text = text.ok_or_else(|| Refused::new(key, "is not there: the secret is binary"))?;
    let document: HashMap<String, &RawValue> = serde_json::from_str(text.expose_secret())
        // serde's error would quote the text
        .map_err(|_| Refused::new(key, "is not there: the secret is no JSON object"))?;
    let raw = document.get(key).map(|raw| raw.get());
    let raw = raw.ok_or_else(|| Refused::new(key, "is not in the document"))?;
    let text = match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw).ok().map(Into::into),
        Some(b'{' | b'[' | b'n') => None,
        _ => Some(raw.into()),
    };
    text.ok_or_else(|| Refused::new(key, "is no text, number or boolean in the document"))
}

/// User and password.
///
/// # Errors
///
/// The document has no user or no password, or a field cannot be read.
pub fn login(credential: &Credential) -> Result<(&str, &SecretString), Refused> {
    if let Some(wrong) = credential.wrong() {
        return Err(Refused::new(
            "the document",
            format!("is no login: {wrong}"),
        ));
    }
    let missing = |key| Refused::new(key, "is not in the document");
    let user = credential.user().ok_or_else(|| missing("username"))?;
    let password = credential.password().ok_or_else(|| missing("password"))?;
    Ok((user, password))
}

/// A login under the names of libpq's parameters: user and password alone if the document has no host.
///
/// TLS is verify-full, unless the document says `"ssl": false`.
///
/// # Errors
///
/// As for [`login`], or the database's name is a connection string for libpq.
pub fn parameters(credential: &Credential) -> Result<Vec<Named>, Refused> {
    let (user, password) = login(credential)?;
    let mut named = vec![("user", user.into()), ("password", password.clone())];
    if let Some(host) = credential.host() {
        let database = credential.database().unwrap_or_default();
        // libpq's own test (recognized_connection_string)
        let is_url = ["postgres://", "postgresql://"].map(|scheme| database.starts_with(scheme));
        if database.contains('=') || is_url.contains(&true) {
            return Err(Refused::new(
                "dbname",
                "looks like a connection string, and programs such as vacuumdb would read more than a name",
            ));
        }
        let tls = match credential.tls() {
            true => "verify-full",
            false => "disable",
        };
        named.extend([
            ("host", host.into()),
            ("port", credential.port().to_string().into()),
            ("dbname", database.into()),
            ("sslmode", tls.into()),
        ]);
    }
    Ok(named)
}

/// A login under the names of libpq's environment variables.
///
/// # Errors
///
/// As for [`parameters`].
pub fn variables(credential: &Credential) -> Result<Vec<Named>, Refused> {
    let variable = |name| match name {
        "user" => "PGUSER",
        "password" => "PGPASSWORD",
        "host" => "PGHOST",
        "port" => "PGPORT",
        "dbname" => "PGDATABASE",
        _ => "PGSSLMODE",
    };
    let named = parameters(credential)?.into_iter();
    Ok(named.map(|(name, value)| (variable(name), value)).collect())
}
