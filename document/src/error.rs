//! Why a document is refused, and what to do about it.

/// Why a document is refused. The message follows "the AWSCURRENT version of SECRET", and holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum DocumentError {
    /// Not JSON at all.
    #[error(
        "is not JSON (line {line}, column {column}){looks}: store an object with host, username and password, as RDS \
         does"
    )]
    NotJson {
        line: usize,
        column: usize,
        looks: &'static str,
    },
    /// JSON, but a list, a number, a text that holds no object, …
    #[error(
        "is JSON but not an object: store an object with host, username and password, as RDS does"
    )]
    NotAnObject,
    /// A required field is missing.
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
    /// Keys that a crash could leave behind unknown.
    #[error(
        "makes keys that a crash could leave behind: have \"create\" name them {{label}} and add \"list\", or send \
         {{token}} as an idempotency key"
    )]
    NotRepeatable,
}

impl DocumentError {
    pub(crate) fn not_json(text: &str, error: &serde_json::Error) -> Self {
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        let looks = match text {
            "" => ", it is empty",
            _ if text.starts_with("{'") || text.starts_with("{u'") => {
                ", it looks like what Python prints of a dict: write it with json.dumps"
            }
            _ if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                ", it looks like a connection's URL"
            }
            _ if text.starts_with("{\\\"") => ", its quotes are escaped once too often",
            _ => "",
        };
        Self::NotJson {
            line: error.line(),
            column: error.column(),
            looks,
        }
    }

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

/// An engine's name, for an error: any other text in its place may hold a password.
pub fn shown_engine(engine: &str) -> String {
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || "-_. ".contains(letter);
    if engine.len() <= 40 && engine.chars().all(is_of_a_name) {
        engine.to_owned()
    } else {
        "…".to_owned()
    }
}
