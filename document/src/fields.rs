//! How every reader reads a secret's text, field by field.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{error::DocumentError, host, object::Object, read, strategy::Strategy};

/// PostgreSQL's own port, for a document without one.
pub const DEFAULT_PORT: u16 = 5432;
/// The database, for a document without one.
pub const DEFAULT_DATABASE: &str = "postgres";
/// How long clients may use the previous credential, in seconds: the function writes it for them.
pub(crate) const OVERLAP_SECONDS: &str = "overlap_seconds";

/// The characters, besides letters and digits, that an address may hold unencoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The names of a login's fields in a document. RDS's names by default.
///
/// ```
/// # use rotating_secret_document::FieldNames;
/// let names = FieldNames { username: "DB_USER", password: "DB_PASS", ..FieldNames::RDS };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldNames {
    /// The user who logs in.
    pub username: &'static str,
    /// The password.
    pub password: &'static str,
    /// The server's name or address.
    pub host: &'static str,
    /// The server's port.
    pub port: &'static str,
    /// The database.
    pub dbname: &'static str,
}

impl FieldNames {
    /// The names that RDS uses, and AWS's rotation functions.
    pub const RDS: Self = Self {
        username: "username",
        password: "password",
        host: "host",
        port: "port",
        dbname: "dbname",
    };
}

/// The fields of a document, each read separately: a document may lack some of them. For example, that of an administrator that
/// RDS manages has only `username` and `password`.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// `engine`, as written.
    pub engine: Option<String>,
    /// `host`: a name or an address, without brackets and port.
    pub host: Option<String>,
    /// `port`, or the port after the host.
    pub port: Option<u16>,
    /// `username`.
    pub username: Option<String>,
    /// `password`.
    pub password: Option<SecretString>,
    /// `dbname`.
    pub dbname: Option<String>,
    /// `ssl`: false only if the document says so.
    pub tls: Option<bool>,
    /// `key`: an API key.
    pub key: Option<SecretString>,
    /// `overlap_seconds`.
    pub overlap_seconds: Option<u64>,
    /// How it rotates, if the document shows it.
    pub strategy: Option<Strategy>,
    /// The first field of a login that cannot be read.
    pub wrong: Option<DocumentError>,
}

impl Fields {
    /// Reads the fields of a text.
    ///
    /// # Errors
    ///
    /// It is not a JSON object.
    pub fn read(text: &SecretString) -> Result<Self, DocumentError> {
        Self::read_named(text, &FieldNames::RDS)
    }

    /// Reads the same fields under other names.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_named(text: &SecretString, names: &FieldNames) -> Result<Self, DocumentError> {
        Object::parse(text).map(|object| Self::of(&object, names))
    }

    pub(crate) fn of(object: &Object, names: &FieldNames) -> Self {
        let mut wrong = None;
        let engine = kept(read::optional(object, "engine"), &mut wrong);
        let (host, port) = kept(host::address(object, names.host, names.port), &mut wrong);
        let username = kept(read::optional(object, names.username), &mut wrong);
        let password = kept(read::secret(object, names.password), &mut wrong);
        let dbname = kept(read::optional(object, names.dbname), &mut wrong);
        // a login needs neither: an application may have a `key` of another kind
        let key = read::secret(object, "key").ok().flatten();
        let administrator = read::optional(object, "masterarn").ok().flatten();
        Self {
            engine,
            host,
            port,
            username,
            password,
            dbname,
            tls: read::tls(object),
            key,
            overlap_seconds: object.read(OVERLAP_SECONDS),
            strategy: Strategy::of(object, administrator.is_some()).ok().flatten(),
            wrong,
        }
    }

    /// `postgresql://user:password@host:port/database`, with every character encoded as a URL needs it, for an application that
    /// logs in with a URL. Without TLS only if the document says so.
    ///
    /// `None` unless there are a host, a user and a password.
    pub fn url(&self) -> Option<SecretString> {
        let encoded = |text| utf8_percent_encode(text, UNRESERVED);
        let server = host::with_port(self.host.as_deref()?, self.port.unwrap_or(DEFAULT_PORT));
        let password = self.password.as_ref()?.expose_secret();
        let database = self.dbname.as_deref().unwrap_or(DEFAULT_DATABASE);
        let mode = match self.tls {
            Some(false) => "disable",
            _ => "verify-full",
        };
        // readers of URLs remove these two from a path, encoded or not
        let (path, query) = match database {
            "." | ".." => (String::new(), format!("dbname={database}&")),
            _ => (encoded(database).to_string(), String::new()),
        };
        let url = Zeroizing::new(format!(
            "postgresql://{}:{}@{server}/{path}?{query}sslmode={mode}",
            encoded(self.username.as_deref()?),
            encoded(password),
        ));
        Some(url.as_str().into())
    }
}

/// The value that was read. If it cannot be read, the default, and the first reason is kept.
fn kept<T: Default>(read: Result<T, DocumentError>, wrong: &mut Option<DocumentError>) -> T {
    read.unwrap_or_else(|error| {
        wrong.get_or_insert(error);
        T::default()
    })
}
