//! What files and environments take from a secret: its fields as text, and a login by libpq's names.
//!
//! Who may write the secret chooses the values. So each value is checked where it is written, and an error names its key and
//! never the value.

use rotating_secret::Credential;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use serde_json::Value;

/// Why a value is not written. The text begins with its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {why}")]
pub struct Refused {
    key: String,
    why: String,
}

impl Refused {
    /// This key's value, which `why` says of.
    pub fn new(key: &str, why: impl Into<String>) -> Self {
        let (key, why) = (key.to_owned(), why.into());
        Self { key, why }
    }
}

/// A name by which programs know a value, and the value.
pub type Named = (&'static str, SecretString);

/// The document's value under this key: a text as it is, a number and a switch as JSON writes them.
///
/// # Errors
///
/// There is none, or it is an object, a list or null.
pub fn value(credential: &Credential, key: &str) -> Result<SecretString, Refused> {
    let text = credential.text();
    let text = text.ok_or_else(|| Refused::new(key, "is not there: the secret is binary"))?;
    let Ok(Value::Object(mut document)) = serde_json::from_str(text.expose_secret()) else {
        return Err(Refused::new(
            key,
            "is not there: the secret is no JSON object",
        ));
    };
    let found = match document.remove(key) {
        Some(Value::String(text)) => Ok(text.into()),
        Some(Value::Number(number)) => Ok(number.to_string().into()),
        Some(Value::Bool(switch)) => Ok(switch.to_string().into()),
        Some(_) => Err(Refused::new(
            key,
            "is no text, number or switch in the document",
        )),
        None => Err(Refused::new(key, "is not in the document")),
    };
    for other in document.values_mut() {
        if let Value::String(text) = other {
            text.zeroize();
        }
    }
    found
}

/// Who logs in.
///
/// # Errors
///
/// The document has no user or no password, or a field of it cannot be read.
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

/// A login under the names that libpq's parameters have. Without a host in the document, user and password alone.
///
/// TLS is verify-full, and only a document that says `"ssl": false` turns it off.
///
/// # Errors
///
/// As for [`login`].
pub fn parameters(credential: &Credential) -> Result<Vec<Named>, Refused> {
    let (user, password) = login(credential)?;
    let mut named = vec![("user", user.into()), ("password", password.clone())];
    if let Some(host) = credential.host() {
        let database = credential.database().unwrap_or_default();
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

/// The same under the names of libpq's environment variables.
///
/// # Errors
///
/// As for [`login`].
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
