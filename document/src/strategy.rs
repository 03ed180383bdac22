//! How a secret rotates.

use serde::{Serialize, Serializer};

use crate::{error::DocumentError, object::Object, read};

/// The engine of documents that describe a service's requests.
pub(crate) const API_KEY: &str = "http-api-key";

/// How a secret rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// One role, whose password is replaced.
    SingleUser,
    /// Two roles that take turns.
    AlternatingUsers,
    /// A key of an HTTP API.
    ApiKey,
}

impl Strategy {
    /// The name for logs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleUser => "single user",
            Self::AlternatingUsers => "alternating users",
            Self::ApiKey => "api key",
        }
    }

    /// The strategy of a document with or without an administrator. `None` if it names no administrator, and its `strategy` is
    /// the application's own.
    pub(crate) fn of(object: &Object, administered: bool) -> Result<Option<Self>, DocumentError> {
        if object.text("engine").as_deref() == Some(API_KEY) {
            return Ok(Some(Self::ApiKey));
        }
        let named = read::optional(object, "strategy").ok();
        match (named.as_ref().map(Option::as_deref), administered) {
            (Some(None), true) | (Some(Some("alternating-users")), true) => {
                Ok(Some(Self::AlternatingUsers))
            }
            (Some(Some("single-user")), _) | (Some(None), false) => Ok(Some(Self::SingleUser)),
            (_, false) => Ok(None),
            (_, true) => Err(DocumentError::WrongType {
                field: "strategy",
                expected: "single-user or alternating-users",
            }),
        }
    }
}

impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
