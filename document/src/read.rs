//! Reading the object: each field with its type, and errors that hold no value.
//!
//! Not there, `null` and `""` are the same for what is optional.

use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{error::DocumentError, object::Object, overlap::Overlap};

/// More would not fit into a step.
const LATEST_READY: Duration = Duration::from_secs(60);
const A_TEXT: &str = "a string with something in it";

/// A text; none if it is not there, `null` or empty.
pub(crate) fn optional(
    object: &Object,
    field: &'static str,
) -> Result<Option<String>, DocumentError> {
    let wrong = DocumentError::WrongType {
        field,
        expected: A_TEXT,
    };
    match object.raw(field) {
        None | Some("null") => Ok(None),
        Some(_) => match object.read::<String>(field) {
            // PostgreSQL's protocol ends its strings with a NUL: one inside would cut a name short
            Some(text) if text.contains('\0') => Err(wrong),
            Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            None => Err(wrong),
        },
    }
}

/// A text that has to be there.
pub(crate) fn required(object: &Object, field: &'static str) -> Result<String, DocumentError> {
    optional(object, field)?.ok_or(DocumentError::MissingField { field })
}

/// A secret that has to be there.
pub(crate) fn secret(object: &Object, field: &'static str) -> Result<SecretString, DocumentError> {
    let secret = Zeroizing::new(required(object, field)?);
    Ok(secret.as_str().into())
}

/// A port as a number, or as a text, with blanks around it.
pub(crate) fn port(object: &Object, field: &'static str) -> Result<Option<u16>, DocumentError> {
    let read = match object.raw(field) {
        None | Some("null" | "\"\"") => return Ok(None),
        Some(raw) => match object.read::<String>(field) {
            Some(text) => text.trim().parse().ok(),
            None => raw.parse().ok(),
        },
    };
    read.filter(|port| *port != 0)
        .map(Some)
        .ok_or(DocumentError::WrongType {
            field,
            expected: "a number from 1 to 65535",
        })
}

/// Whether the server is asked for TLS: not if the document says `false`, and whatever else it says, as AWS's functions read it.
pub(crate) fn tls(object: &Object) -> Option<bool> {
    match object.raw("ssl")? {
        "null" | "\"\"" => None,
        "false" => Some(false),
        _ => {
            let text = object.read::<String>("ssl");
            Some(!text.is_some_and(|text| text.trim().eq_ignore_ascii_case("false")))
        }
    }
}

pub(crate) fn overlap(object: &Object) -> Result<Option<Overlap>, DocumentError> {
    optional(object, "overlap")?
        .map(|text| text.parse())
        .transpose()
        .map_err(|()| DocumentError::WrongType {
            field: "overlap",
            expected: "a time such as 24h, a hundred years at most, or unbounded",
        })
}

pub(crate) fn ready_within(object: &Object) -> Result<Duration, DocumentError> {
    let Some(text) = optional(object, "ready_within")? else {
        return Ok(Duration::ZERO);
    };
    let read = humantime::parse_duration(&text).ok();
    read.filter(|time| *time <= LATEST_READY)
        .ok_or(DocumentError::WrongType {
            field: "ready_within",
            expected: "a time such as 30s, 60s at most",
        })
}

/// Which of these engines the document names, if any.
pub(crate) fn engine(
    object: &Object,
    engines: &'static [&'static str],
) -> Result<Option<&'static str>, DocumentError> {
    let Some(named) = optional(object, "engine")? else {
        return Ok(None);
    };
    match engines.iter().find(|engine| **engine == named) {
        Some(engine) => Ok(Some(engine)),
        None => Err(DocumentError::UnknownEngine {
            engine: named.chars().take(40).collect(),
            engines: engines.join(", "),
        }),
    }
}
