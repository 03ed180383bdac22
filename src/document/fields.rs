//! Reading the object: each field with its type, and errors that hold no value.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{DocumentError, Overlap, is_segment};

/// More would not fit into a step.
const LATEST_READY: Duration = Duration::from_secs(60);

/// The object, and which of these engines it names.
pub(super) fn object(
    json: &SecretString,
    engines: &'static [&'static str],
) -> Result<(Map<String, Value>, Option<&'static str>), DocumentError> {
    let parsed = serde_json::from_str(json.expose_secret());
    let parsed: Value = parsed.map_err(|error| DocumentError::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    let Value::Object(fields) = parsed else {
        return Err(DocumentError::NotAnObject);
    };
    let Some(named) = optional_text(&fields, "engine")? else {
        return Ok((fields, None));
    };
    match engines.iter().find(|engine| **engine == named) {
        Some(engine) => Ok((fields, Some(engine))),
        None => Err(DocumentError::UnknownEngine {
            engine: named.chars().take(40).collect(),
            engines: engines.join(", "),
        }),
    }
}

/// Takes the secret out of the object, which keeps its place.
pub(super) fn take(
    fields: &mut Map<String, Value>,
    field: &'static str,
) -> Result<SecretString, DocumentError> {
    optional_text(fields, field)?;
    match fields.get_mut(field).map(Value::take) {
        Some(Value::String(secret)) => Ok(secret.into()),
        _ => Err(DocumentError::MissingField { field }),
    }
}

pub(super) fn optional(
    fields: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<String>, DocumentError> {
    Ok(optional_text(fields, field)?.map(str::to_owned))
}

pub(super) fn optional_text<'a>(
    fields: &'a Map<String, Value>,
    field: &'static str,
) -> Result<Option<&'a str>, DocumentError> {
    match fields.get(field) {
        None => Ok(None),
        // PostgreSQL's protocol ends its strings with a NUL: one inside would cut a name short
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => Ok(Some(text)),
        Some(_) => Err(DocumentError::WrongType {
            field,
            expected: "a string with something in it",
        }),
    }
}

pub(super) fn port(
    fields: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<u16>, DocumentError> {
    let read = match fields.get(field) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    read.filter(|port| *port != 0)
        .map(Some)
        .ok_or(DocumentError::WrongType {
            field,
            expected: "a number from 1 to 65535",
        })
}

pub(super) fn tls(fields: &Map<String, Value>) -> Result<Option<bool>, DocumentError> {
    match fields.get("ssl") {
        None => Ok(None),
        Some(Value::Bool(ssl)) => Ok(Some(*ssl)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(DocumentError::WrongType {
            field: "ssl",
            expected: "true or false",
        }),
    }
}

pub(super) fn overlap(fields: &Map<String, Value>) -> Result<Option<Overlap>, DocumentError> {
    optional_text(fields, "overlap")?
        .map(str::parse)
        .transpose()
        .map_err(|()| DocumentError::WrongType {
            field: "overlap",
            expected: "a time such as 24h, a hundred years at most, or unbounded",
        })
}

/// An API key's id, which requests name as one segment of a path.
pub(super) fn key_id(
    fields: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<String>, DocumentError> {
    match optional(fields, field)? {
        Some(id) if !is_segment(&id) => Err(DocumentError::WrongType {
            field,
            expected: "one segment of a path: not . or .., and without / \\ ? # % ; and control characters",
        }),
        id => Ok(id),
    }
}

pub(super) fn ready_within(fields: &Map<String, Value>) -> Result<Duration, DocumentError> {
    let Some(text) = optional_text(fields, "ready_within")? else {
        return Ok(Duration::ZERO);
    };
    let read = humantime::parse_duration(text).ok();
    read.filter(|time| *time <= LATEST_READY)
        .ok_or(DocumentError::WrongType {
            field: "ready_within",
            expected: "a time such as 30s, 60s at most",
        })
}
