//! Which engine a document names: a secret of MySQL has the same fields, and PostgreSQL's drivers would log in with them.

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use crate::credential::Credential;

#[derive(Deserialize)]
struct Named {
    engine: Option<Value>,
}

/// The engine, if the document names one that is not PostgreSQL.
pub(crate) fn foreign(credential: &Credential) -> Option<String> {
    let text = credential
        .text()
        .map(|text| text.expose_secret().as_bytes());
    let binary = || credential.binary().map(|bytes| bytes.expose_secret());
    let named: Named = serde_json::from_slice(text.or_else(binary)?).ok()?;
    let engine = match named.engine? {
        Value::String(engine) => engine,
        other => other.to_string(),
    };
    let is_ours = engine.is_empty() || engine.to_lowercase().contains("postgres");
    (!is_ours).then(|| engine.chars().take(40).collect())
}
