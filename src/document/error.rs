//! Why a document is refused, and what to do about it.

/// Why a document is refused. The message goes behind "the AWSCURRENT version of SECRET".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum DocumentError {
    /// Not JSON at all.
    #[error(
        "is not JSON (line {line}, column {column}): store an object with host, username and password, as RDS does"
    )]
    NotJson { line: usize, column: usize },
    /// JSON, but a string, a list, …
    #[error(
        "is JSON but not an object: store an object with host, username and password, as RDS does"
    )]
    NotAnObject,
    /// A required field is not there.
    #[error("has no \"{field}\": add it with PutSecretValue and rotate again")]
    MissingField { field: &'static str },
    /// A field cannot be read.
    #[error(
        "has a \"{field}\" that is not {expected}: correct it with PutSecretValue and rotate again"
    )]
    WrongType {
        field: &'static str,
        expected: &'static str,
    },
    /// A secret of another database.
    #[error(
        "names the engine \"{engine}\": this function rotates {engines}; give the secret its own engine's function"
    )]
    UnknownEngine { engine: String, engines: String },
    /// A key that a crash would leave behind unknown.
    #[error(
        "makes keys that a crash could leave behind: have \"create\" name them {{label}} and add \"list\", or send \
         {{token}} as an idempotency key"
    )]
    NotRepeatable,
}

impl DocumentError {
    /// The stable name of the kind, for alarms.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "DocumentNotJson",
            Self::NotAnObject => "DocumentNotAnObject",
            Self::MissingField { .. } => "DocumentFieldMissing",
            Self::WrongType { .. } => "DocumentFieldInvalid",
            Self::UnknownEngine { .. } => "EngineUnknown",
            Self::NotRepeatable => "KeysNotRepeatable",
        }
    }
}
