//! The secret's JSON document.
//!
//! RDS's format has a dozen known keys, and applications add their own. So the document is kept as the object
//! that it is, in its order, with the few fields that a rotation needs read out once and typed. The password
//! never stands in the object: it is held apart, wiped when dropped, and put back only when written.
//!
//! The secret of an outside service's API key is read likewise: `key_id` is its user, `key` its password, and the
//! requests in [`Api`] say where it goes.

mod address;
mod api;
mod error;
mod fields;
mod pair;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use fields::{key_id, object, optional, overlap, port, ready_within, take, tls};

pub use address::{address, is_segment};
pub use api::{Api, Request};
pub use error::DocumentError;
pub use pair::Pair;

/// The engines that this function rotates; a document that names none is of the first.
pub const ENGINES: &[&str] = &["postgres", "aurora-postgresql", API_KEY];

const API_KEY: &str = "http-api-key";
/// What the function tells clients: a cache has to live shorter than this.
const OVERLAP_SECONDS: &str = "overlap_seconds";
/// No clock that it is added to overflows.
const LONGEST_OVERLAP: Duration = Duration::from_secs(100 * 31_557_600);
const DEFAULT_PORT: u16 = 5432;
const DEFAULT_DATABASE: &str = "postgres";

/// A credential as it is stored: who logs in where, and everything else that the document says.
pub struct Document {
    /// The object as read, with `null` where the password stood.
    fields: Map<String, Value>,
    names: Names,
    api: Option<Arc<Api>>,
    password: SecretString,
    host: String,
    port: u16,
    rotation_host: Option<String>,
    rotation_port: Option<u16>,
    username: String,
    dbname: String,
    tls: bool,
    administrator: Option<String>,
    owner: Option<String>,
    overlap: Option<Overlap>,
    ready_within: Duration,
}

/// What a user and a password are called in a document.
#[derive(Clone, Copy)]
struct Names {
    username: &'static str,
    password: &'static str,
}

const LOGIN: Names = Names {
    username: "username",
    password: "password",
};
const KEY: Names = Names {
    username: "key_id",
    password: "key",
};

impl Document {
    /// Reads a document of one of the [`ENGINES`].
    ///
    /// PostgreSQL's: `host`, `username` and `password` are required, `port` defaults to 5432, `dbname` to `postgres`,
    /// `ssl` to true. An API key's: `masterarn`, `key_id`, `key` and the requests of [`Api`].
    ///
    /// # Errors
    ///
    /// The text is not a JSON object, or a field is missing or has another type. No message holds a value.
    pub fn parse(json: &SecretString) -> Result<Self, DocumentError> {
        Self::parse_for(json, ENGINES)
    }

    /// Reads a document of one of these engines, for which `None` stands for the first. One that is not among
    /// [`ENGINES`] has PostgreSQL's fields, without a default for `port`.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn parse_for(
        json: &SecretString,
        engines: &'static [&'static str],
    ) -> Result<Self, DocumentError> {
        let (fields, engine) = object(json, engines)?;
        match engine.or(engines.first().copied()) {
            Some(API_KEY) => Self::api_key(fields),
            engine => {
                let known = engine.is_none_or(|engine| ENGINES.contains(&engine));
                Self::login(fields, None, known.then_some(DEFAULT_PORT))
            }
        }
    }

    /// Reads the secret of the administrator of `rotated`'s server, which names one of these engines or none.
    ///
    /// One that RDS manages holds only `username` and `password`: where it does not say, it is at the server of `rotated`, and
    /// never without TLS: who writes a secret must not decide that of the administrator's login. The master
    /// secret of an API key's service is an object with `key`, and whatever else its requests fill in.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn parse_administrator(
        json: &SecretString,
        rotated: &Self,
        engines: &'static [&'static str],
    ) -> Result<Self, DocumentError> {
        let (mut fields, _) = object(json, engines)?;
        if rotated.api.is_none() {
            let rotated = rotated.for_rotation();
            let port = rotated.port;
            return Self::login(fields, Some(&rotated), Some(port));
        }
        let password = take(&mut fields, KEY.password)?;
        Ok(Self {
            fields,
            names: KEY,
            api: None,
            username: "the master secret".to_owned(),
            administrator: None,
            overlap: None,
            ..rotated.with_password(password)
        })
    }

    /// A user and a password at a server.
    fn login(
        mut fields: Map<String, Value>,
        rotated: Option<&Self>,
        default_port: Option<u16>,
    ) -> Result<Self, DocumentError> {
        let default = |text: fn(&Self) -> &str| rotated.map(text).map(str::to_owned);
        let missing = |field| DocumentError::MissingField { field };
        Ok(Self {
            names: LOGIN,
            api: None,
            host: optional(&fields, "host")?
                .or_else(|| default(Self::host))
                .ok_or_else(|| missing("host"))?,
            username: optional(&fields, LOGIN.username)?.ok_or_else(|| missing(LOGIN.username))?,
            dbname: optional(&fields, "dbname")?
                .or_else(|| default(Self::dbname))
                .unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
            port: port(&fields, "port")?
                .or(default_port)
                .ok_or_else(|| missing("port"))?,
            rotation_host: optional(&fields, "rotationhost")?,
            rotation_port: port(&fields, "rotationport")?,
            tls: tls(&fields)?.unwrap_or(true),
            administrator: optional(&fields, "masterarn")?,
            owner: optional(&fields, "ownerrole")?,
            overlap: overlap(&fields)?,
            ready_within: Duration::ZERO,
            password: take(&mut fields, LOGIN.password)?,
            fields,
        })
    }

    /// An API key at the service that its requests name.
    fn api_key(mut fields: Map<String, Value>) -> Result<Self, DocumentError> {
        let missing = |field| DocumentError::MissingField { field };
        let administrator = optional(&fields, "masterarn")?;
        let api = Api::read(&fields)?;
        // the service that knows the key speaks for it
        let (host, port) = api.verify.server().ok_or_else(|| missing("verify"))?;
        Ok(Self {
            names: KEY,
            api: Some(Arc::new(api)),
            host,
            rotation_host: None,
            rotation_port: None,
            username: key_id(&fields, KEY.username)?.ok_or_else(|| missing(KEY.username))?,
            dbname: String::new(),
            port,
            tls: true,
            administrator: Some(administrator.ok_or_else(|| missing("masterarn"))?),
            owner: None,
            overlap: overlap(&fields)?,
            ready_within: ready_within(&fields)?,
            password: take(&mut fields, KEY.password)?,
            fields,
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
            names: self.names,
            api: self.api.clone(),
            password,
            host: self.host.clone(),
            port: self.port,
            rotation_host: self.rotation_host.clone(),
            rotation_port: self.rotation_port,
            username: self.username.clone(),
            dbname: self.dbname.clone(),
            tls: self.tls,
            administrator: self.administrator.clone(),
            owner: self.owner.clone(),
            overlap: self.overlap,
            ready_within: self.ready_within,
        }
    }

    /// The same document with another user, and with the overlap that clients may count on.
    pub fn with_user(&self, username: String, password: SecretString, overlap: Overlap) -> Self {
        let mut document = self.with_password(password);
        document
            .fields
            .insert(self.names.username.to_owned(), username.clone().into());
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

    /// The same document about the user and the password of another version, if it has them. Whatever else that
    /// version says is left out: its requests may have been wrong, and corrected since.
    pub fn about(&self, version: &SecretString) -> Option<Self> {
        let (mut fields, _) = object(version, ENGINES).ok()?;
        let username = match self.api {
            Some(_) => key_id(&fields, self.names.username),
            None => optional(&fields, self.names.username),
        };
        let username = username.ok()??;
        let mut document = self.with_password(take(&mut fields, self.names.password).ok()?);
        let field = self.names.username.to_owned();
        document.fields.insert(field, username.clone().into());
        document.username = username;
        Some(document)
    }

    /// The first field in which two documents differ that says where a password is sent, and who sets it.
    ///
    /// A pending version that names another server than the current one would have a credential handed to
    /// whoever runs that server.
    pub fn differs_from(&self, other: &Self) -> Option<&'static str> {
        [
            ("host", self.host != other.host),
            ("port", self.port != other.port),
            ("rotationhost", self.rotation_host != other.rotation_host),
            ("rotationport", self.rotation_port != other.rotation_port),
            ("dbname", self.dbname != other.dbname),
            ("ssl", self.tls != other.tls),
            ("masterarn", self.administrator != other.administrator),
            ("ownerrole", self.owner != other.owner),
            ("request", self.api != other.api),
        ]
        .into_iter()
        .find_map(|(field, differs)| differs.then_some(field))
    }

    /// The requests of the service, for an API key; `None` for everything that logs in.
    pub fn api(&self) -> Option<&Api> {
        self.api.as_deref()
    }

    /// Any other text of the document.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// Host and port, as messages name them.
    pub fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The server's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `rotationhost` and `rotationport`: the same document where roles are changed, if that is not where applications log in
    /// (a reader, a pooler, a name that the certificate lacks).
    pub fn for_rotation(&self) -> Self {
        let mut document = self.with_password(self.password.clone());
        document.host = self.rotation_host.clone().unwrap_or(document.host);
        document.port = self.rotation_port.unwrap_or(document.port);
        document.rotation_host = None;
        document.rotation_port = None;
        document
    }

    /// Whether roles are changed elsewhere than applications log in.
    pub fn has_rotation_address(&self) -> bool {
        let elsewhere = |own: &str, other: Option<&str>| other.is_some_and(|other| other != own);
        elsewhere(&self.host, self.rotation_host.as_deref())
            || self.rotation_port.is_some_and(|port| port != self.port)
    }

    /// The role that logs in, or an API key's id.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Its password, or the key itself.
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

    /// `masterarn`: the administrator's secret, or the master secret. Two users take turns where there is one.
    pub fn administrator(&self) -> Option<&str> {
        self.administrator.as_deref()
    }

    /// Whose turn it is in the next rotation: the other one's of two users, or the same user's.
    pub fn next_user(&self) -> String {
        match self.administrator {
            Some(_) => Pair::of(&self.username)
                .other_than(&self.username)
                .to_owned(),
            None => self.username.clone(),
        }
    }

    /// `ownerrole`: the role that owns what either user creates, in place of the base user.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// `ready_within`: how long after it was made an API key may still be rejected; a minute at most.
    pub fn ready_within(&self) -> Duration {
        self.ready_within
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

    /// Reads `unbounded`, or a duration such as `24h`, `30m`, `2s`, of whole seconds and a hundred years at most.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "unbounded" {
            return Ok(Self::Unbounded);
        }
        let window = humantime::parse_duration(text).map_err(drop)?;
        if window.subsec_nanos() > 0 || window > LONGEST_OVERLAP {
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
            if key == self.0.names.password {
                map.serialize_entry(key, self.0.password.expose_secret())?;
            } else {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
