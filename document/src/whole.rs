//! What a whole document has besides its fields.

use std::time::Duration;

use secrecy::SecretString;

use crate::{
    duration,
    error::{DocumentError, shown_engine},
    object::Object,
    overlap::Overlap,
    read::{self, optional},
};

/// More would not fit into a step.
const LATEST_READY: Duration = Duration::from_secs(60);

/// A required text.
pub(crate) fn required(object: &Object, field: &'static str) -> Result<String, DocumentError> {
    optional(object, field)?.ok_or(DocumentError::MissingField { field })
}

/// A required secret.
pub(crate) fn secret(object: &Object, field: &'static str) -> Result<SecretString, DocumentError> {
    read::secret(object, field)?.ok_or(DocumentError::MissingField { field })
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
    let read = duration(&text).ok();
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
            engine: shown_engine(&named),
            engines: engines.join(", "),
        }),
    }
}
