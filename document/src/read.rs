//! Reading the object: each field with its type, and errors that hold no value.
//!
//! For an optional field, missing, `null` and `""` are the same.

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{error::DocumentError, object::Object};

const A_TEXT: &str = "a string with something in it";

/// A text; `None` if it is missing, `null` or empty.
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

/// A secret; `None` if it is missing, `null` or empty.
pub(crate) fn secret(
    object: &Object,
    field: &'static str,
) -> Result<Option<SecretString>, DocumentError> {
    let text = optional(object, field)?.map(Zeroizing::new);
    Ok(text.map(|text| text.as_str().into()))
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

/// Whether TLS is required: not if the document says `false`, and otherwise always, as AWS's functions read it.
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
