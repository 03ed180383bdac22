//! The secret's JSON document.
//!
//! RDS's format has a dozen known keys, and applications add their own. So the document is kept as the object
//! that it is, in its order, with the few fields that a rotation needs read out once and typed. The password
//! never stands in the object: it is held apart, wiped when dropped, and put back only when written.

use std::{fmt, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

const PASSWORD: &str = "password";
/// What the function tells clients: a cache has to live shorter than this.
const OVERLAP_SECONDS: &str = "overlap_seconds";
const DEFAULT_PORT: u16 = 5432;
const DEFAULT_DATABASE: &str = "postgres";

/// A credential as it is stored: who logs in where, and everything else that the document says.
pub struct Document {
    /// The object as read, with `null` where the password stood.
    fields: Map<String, Value>,
    password: SecretString,
    host: String,
    port: u16,
    username: String,
    dbname: String,
    tls: bool,
    administrator: Option<String>,
    owner: Option<String>,
    overlap: Option<Overlap>,
}

impl Document {
    /// Reads a document: `host`, `username` and `password` are required, `engine` must be PostgreSQL's if it
    /// is named, `port` defaults to 5432, `dbname` to `postgres`, `ssl` to true.
    ///
    /// # Errors
    ///
    /// The text is not a JSON object, or a field is missing or has another type. No message holds a value.
    pub fn parse(json: &SecretString) -> Result<Self, DocumentError> {
        Self::read(json, None)
    }

    /// Reads the secret of the administrator of `rotated`'s server.
    ///
    /// One that RDS manages holds only `username` and `password`: what it does not say is as in `rotated`.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn parse_administrator(json: &SecretString, rotated: &Self) -> Result<Self, DocumentError> {
        Self::read(json, Some(rotated))
    }

    fn read(json: &SecretString, rotated: Option<&Self>) -> Result<Self, DocumentError> {
        let parsed: Value =
            serde_json::from_str(json.expose_secret()).map_err(|error| DocumentError::NotJson {
                line: error.line(),
                column: error.column(),
            })?;
        let Value::Object(mut fields) = parsed else {
            return Err(DocumentError::NotAnObject);
        };

        match optional_text(&fields, "engine")? {
            None | Some("postgres" | "aurora-postgresql") => {}
            Some(engine) => {
                return Err(DocumentError::UnknownEngine {
                    engine: engine.chars().take(40).collect(),
                });
            }
        }
        let text = |field, default: Option<&str>| {
            let text = optional_text(&fields, field)?.or(default);
            text.map(str::to_owned)
                .ok_or(DocumentError::MissingField { field })
        };
        let host = text("host", rotated.map(Self::host))?;
        let username = text("username", None)?;
        let dbname = text(
            "dbname",
            Some(rotated.map_or(DEFAULT_DATABASE, Self::dbname)),
        )?;
        let port = port(&fields)?.unwrap_or(rotated.map_or(DEFAULT_PORT, Self::port));
        let tls = tls(&fields)?.unwrap_or(rotated.is_none_or(Self::tls));
        let administrator = optional_text(&fields, "masterarn")?.map(str::to_owned);
        let owner = optional_text(&fields, "ownerrole")?.map(str::to_owned);
        let overlap = overlap(&fields)?;
        text(PASSWORD, None)?;
        let Some(Value::String(password)) = fields.get_mut(PASSWORD).map(Value::take) else {
            return Err(DocumentError::MissingField { field: PASSWORD });
        };

        Ok(Self {
            fields,
            password: password.into(),
            host,
            port,
            username,
            dbname,
            tls,
            administrator,
            owner,
            overlap,
        })
    }

    /// Writes the document back: same keys, same order, with its password.
    ///
    /// # Errors
    ///
    /// None that is known of: an object of JSON values can always be written.
    pub fn to_json(&self) -> Result<SecretString, serde_json::Error> {
        serde_json::to_string(&WithPassword(self)).map(SecretString::from)
    }

    /// The same document with another password.
    pub fn with_password(&self, password: SecretString) -> Self {
        Self {
            fields: self.fields.clone(),
            password,
            host: self.host.clone(),
            port: self.port,
            username: self.username.clone(),
            dbname: self.dbname.clone(),
            tls: self.tls,
            administrator: self.administrator.clone(),
            owner: self.owner.clone(),
            overlap: self.overlap,
        }
    }

    /// The same document with another user, and with the overlap that clients may count on.
    pub fn with_user(&self, username: String, password: SecretString, overlap: Overlap) -> Self {
        let mut document = self.with_password(password);
        document
            .fields
            .insert("username".to_owned(), username.clone().into());
        match overlap {
            Overlap::Bounded(window) => {
                document
                    .fields
                    .insert(OVERLAP_SECONDS.to_owned(), window.as_secs().into());
            }
            Overlap::Unbounded => drop(document.fields.shift_remove(OVERLAP_SECONDS)),
        }
        document.username = username;
        document
    }

    /// The first field in which two documents differ that says where a password is sent, and who sets it.
    ///
    /// A pending version that names another server than the current one would have a credential handed to
    /// whoever runs that server.
    pub fn differs_from(&self, other: &Self) -> Option<&'static str> {
        [
            ("host", self.host != other.host),
            ("port", self.port != other.port),
            ("dbname", self.dbname != other.dbname),
            ("ssl", self.tls != other.tls),
            ("masterarn", self.administrator != other.administrator),
            ("ownerrole", self.owner != other.owner),
        ]
        .into_iter()
        .find_map(|(field, differs)| differs.then_some(field))
    }

    /// The server's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The role that logs in.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Its password.
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// The database that it connects to.
    pub fn dbname(&self) -> &str {
        &self.dbname
    }

    /// False only where the document says `"ssl": false`.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// `masterarn`: the administrator's secret. Two users take turns where there is one.
    pub fn administrator(&self) -> Option<&str> {
        self.administrator.as_deref()
    }

    /// `ownerrole`: the role that owns what either user creates, in place of the base user.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// `overlap`: how long the old user's password lives on, in place of the function's own setting.
    pub fn overlap(&self) -> Option<Overlap> {
        self.overlap
    }
}

/// How long the old user's password lives on after its successor was promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// The database refuses it after this time.
    Bounded(Duration),
    /// Until the rotation after next, as with AWS's own functions.
    Unbounded,
}

impl FromStr for Overlap {
    type Err = ();

    /// Reads `unbounded`, or a duration such as `24h`, `30m`, `2s`, of whole seconds.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "unbounded" {
            return Ok(Self::Unbounded);
        }
        let window = humantime::parse_duration(text).map_err(drop)?;
        if window.subsec_nanos() > 0 {
            Err(())
        } else {
            Ok(Self::Bounded(window))
        }
    }
}

/// Shows which keys there are, and no value of those that the application added.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .field("dbname", &self.dbname)
            .field("tls", &self.tls)
            .field("keys", &self.fields.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

struct WithPassword<'a>(&'a Document);

impl Serialize for WithPassword<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields.len()))?;
        for (key, value) in &self.0.fields {
            if key == PASSWORD {
                map.serialize_entry(key, self.0.password.expose_secret())?;
            } else {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

fn optional_text<'a>(
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

fn port(fields: &Map<String, Value>) -> Result<Option<u16>, DocumentError> {
    let read = match fields.get("port") {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    read.filter(|port| *port != 0)
        .map(Some)
        .ok_or(DocumentError::WrongType {
            field: "port",
            expected: "a number from 1 to 65535",
        })
}

fn tls(fields: &Map<String, Value>) -> Result<Option<bool>, DocumentError> {
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

fn overlap(fields: &Map<String, Value>) -> Result<Option<Overlap>, DocumentError> {
    optional_text(fields, "overlap")?
        .map(str::parse)
        .transpose()
        .map_err(|()| DocumentError::WrongType {
            field: "overlap",
            expected: "a time such as 24h, or unbounded",
        })
}

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
        "names the engine \"{engine}\": this function rotates postgres and aurora-postgresql; give the secret \
         its own engine's function"
    )]
    UnknownEngine { engine: String },
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
        }
    }
}

#[cfg(test)]
mod tests;
