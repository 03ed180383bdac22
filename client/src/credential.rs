//! The content of a version of a secret: RDS's JSON document, or any other content.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rotating_secret_document::{DEFAULT_DATABASE, DEFAULT_PORT, DocumentError, FieldNames, Fields};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeStruct};
use tokio::time::Instant;

use crate::provider::{Previous, Stage, Value, Version};

/// One version of a secret.
///
/// The fields of a database credential exist if the secret is a JSON object that has them, in RDS's form (`host`, `port`,
/// `username`, `password`, `dbname`). They are read as the rotation function reads them. Read any other secret with
/// [`json`](Self::json), [`text`](Self::text) or [`binary`](Self::binary).
///
/// Neither Debug nor Serialize shows a secret.
#[derive(Clone)]
pub struct Credential {
    source: Arc<Source>,
    version: Arc<str>,
    stage: Stage,
    value: Value,
    fields: Fields,
    previous: Option<Arc<Credential>>,
    arn: Option<Arc<str>>,
    name: Option<Arc<str>>,
    stages: Arc<[String]>,
    lease: Option<Duration>,
    created: Option<SystemTime>,
    auth_token: bool,
    asked: Asked,
}

/// The secret of a version, and how its document is read.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) secret: Arc<str>,
    pub(crate) names: FieldNames,
}

/// When the provider was asked: its answer may be as old as that.
///
/// By two clocks: the runtime's stops while the machine is suspended, and the wall's can be set back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) by_the_wall: SystemTime,
}

impl Asked {
    pub(crate) fn now() -> Self {
        Self {
            at: Instant::now(),
            by_the_wall: SystemTime::now(),
        }
    }

    /// By the clock that shows more time.
    pub(crate) fn elapsed(self) -> Duration {
        let by_the_wall = self.by_the_wall.elapsed().unwrap_or_default();
        self.at.elapsed().max(by_the_wall)
    }
}

impl Credential {
    pub(crate) fn new(source: &Arc<Source>, version: Version, stage: Stage, asked: Asked) -> Self {
        let fields = match &version.value {
            Value::Text(text) => Fields::read_named(text, &source.names),
            Value::Binary(bytes) => {
                // bytes that are no text are no JSON either
                let text = str::from_utf8(bytes.expose_secret()).unwrap_or_default();
                Fields::read_named(&text.into(), &source.names)
            }
        };
        let fields = fields.unwrap_or_else(|error| Fields {
            wrong: Some(error),
            ..Fields::default()
        });
        Self {
            source: source.clone(),
            version: version.id.into(),
            stage,
            fields,
            previous: Self::before(source, version.previous, asked),
            value: version.value,
            arn: version.arn.map(Into::into),
            name: version.name.map(Into::into),
            stages: version.stages.into(),
            lease: version.lease,
            created: version.created,
            auth_token: version.auth_token,
            asked,
        }
    }

    fn before(source: &Arc<Source>, previous: Previous, asked: Asked) -> Option<Arc<Self>> {
        match previous {
            Previous::Read(version) => {
                Some(Self::new(source, *version, Stage::Previous, asked).into())
            }
            Previous::None | Previous::Unread(_) => None,
        }
    }

    /// The same version with a previous one that this process knows, for when AWSPREVIOUS was not read: its previous version so
    /// far, or else the current version that it replaces. The previous version has its own age.
    pub(crate) fn with_previous_known(self, held: &Self, bound: Duration) -> Self {
        let previous = if held.version == self.version {
            held.previous.clone()
        } else {
            (held.stage == Stage::Current).then(|| {
                let (stage, previous) = (Stage::Previous, None);
                Arc::new(Self {
                    stage,
                    previous,
                    ..held.clone()
                })
            })
        };
        Self {
            previous: previous.filter(|previous| previous.age() < bound),
            ..self
        }
    }

    /// The same version without its secrets.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            value: Value::Text(SecretString::default()),
            fields: Fields::default(),
            previous: None,
            ..self.clone()
        }
    }

    /// The same version, confirmed as still current.
    pub(crate) fn confirmed(&self, version: Version, stage: Stage, asked: Asked) -> Self {
        Self {
            stage,
            stages: version.stages.into(),
            lease: version.lease,
            previous: Self::before(&self.source, version.previous, asked),
            asked,
            ..self.clone()
        }
    }

    /// The secret that it belongs to.
    #[cfg(any(feature = "postgres", feature = "sqlx"))]
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The version's id.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn version_id(&self) -> &Arc<str> {
        &self.version
    }

    /// The stage of the version when it was fetched: pending for one that a rotation in progress will make current.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How long ago the provider last confirmed this version. A failed refresh does not renew it, and it also grows while the
    /// machine is suspended.
    pub fn age(&self) -> Duration {
        self.asked.elapsed()
    }

    /// When the provider was asked for it, by the runtime's clock.
    pub(crate) fn asked(&self) -> Instant {
        self.asked.at
    }

    /// When this version was made, by the store's clock; `None` if the store does not say.
    pub fn created(&self) -> Option<SystemTime> {
        self.created
    }

    /// The version that was current before this one, which the store has under AWSPREVIOUS. A verifier accepts it as well as
    /// the current one, for signatures from before a rotation, or from an instance that has not seen the rotation yet.
    ///
    /// `None` unless [`Builder::keep_previous`](crate::Builder::keep_previous) asks for it, and `None` if the store has none:
    /// the secret never rotated, or its label AWSPREVIOUS was removed, as it should be after a leak.
    ///
    /// If AWSPREVIOUS cannot be read, this version is still renewed, with a warning. Its previous version stays the same; if
    /// this version is new, it is the current version that this one replaced here. The first renewal after this secret's bound
    /// drops a previous version that was not confirmed since, by its own [`age`](Self::age): so a removed label has its effect by
    /// then.
    pub fn previous(&self) -> Option<&Self> {
        self.previous.as_deref()
    }

    /// The engine that the document names.
    #[cfg(any(feature = "postgres", feature = "sqlx"))]
    pub(crate) fn engine(&self) -> Option<&str> {
        self.fields.engine.as_deref()
    }

    /// The server's name or address.
    pub fn host(&self) -> Option<&str> {
        self.fields.host.as_deref()
    }

    /// The server's port: 5432 if the document names none.
    pub fn port(&self) -> u16 {
        self.fields.port.unwrap_or(DEFAULT_PORT)
    }

    /// The user who logs in.
    pub fn user(&self) -> Option<&str> {
        self.fields.username.as_deref()
    }

    /// The password.
    pub fn password(&self) -> Option<&SecretString> {
        self.fields.password.as_ref()
    }

    /// The database of a document that names a user: `postgres` if it names no database.
    pub fn database(&self) -> Option<&str> {
        let named = self.fields.dbname.as_deref();
        self.user().map(|_| named.unwrap_or(DEFAULT_DATABASE))
    }

    /// The API key of a document that has one.
    pub fn key(&self) -> Option<&SecretString> {
        self.fields.key.as_ref()
    }

    /// `postgresql://user:password@host:port/database?sslmode=verify-full`, for an application that logs in with a URL. Any
    /// user, password and database work in it, because special characters are encoded. `sslmode` is `disable` only if the
    /// document itself says `"ssl": false`.
    ///
    /// tokio-postgres does not support `verify-full`, and sqlx cannot connect to an IPv6 address in a URL: with the features
    /// `postgres` and `sqlx`, use `postgres_config` and `sqlx_options`, which need no URL.
    ///
    /// `None` unless there are a host, a user and a password.
    pub fn url(&self) -> Option<SecretString> {
        self.fields.url()
    }

    /// Why the document is not a login, or has a field that cannot be read. That field is absent here.
    pub fn wrong(&self) -> Option<&DocumentError> {
        self.fields.wrong.as_ref()
    }

    /// False only if the document itself says `"ssl": false`.
    pub fn tls(&self) -> bool {
        self.fields.tls.unwrap_or(true)
    }

    /// The overlap window that the rotation function announces in the document.
    pub fn overlap_window(&self) -> Option<Duration> {
        self.fields.overlap_seconds.map(Duration::from_secs)
    }

    /// Whether the password is a token that the server asks for in clear text, over TLS: see
    /// [`Version::as_auth_token`](crate::provider::Version::as_auth_token).
    pub fn is_auth_token(&self) -> bool {
        self.auth_token
    }

    /// For a lease: how long the store lets this version live, counted from the fetch.
    pub fn lease(&self) -> Option<Duration> {
        self.lease
    }

    /// The secret's ARN, if it has one.
    pub fn arn(&self) -> Option<&str> {
        self.arn.as_deref()
    }

    /// The secret's name, where the store says it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The staging labels that this version had when it was last confirmed, where the store says them.
    pub fn stages(&self) -> &[String] {
        &self.stages
    }

    /// The secret's text, of any shape.
    pub fn text(&self) -> Option<&SecretString> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Binary(_) => None,
        }
    }

    /// The secret's bytes, if it is binary.
    pub fn binary(&self) -> Option<&SecretSlice<u8>> {
        match &self.value {
            Value::Text(_) => None,
            Value::Binary(bytes) => Some(bytes),
        }
    }

    /// Reads the text as JSON of any shape.
    ///
    /// # Errors
    ///
    /// The secret is not text, or not JSON of this shape. The error's text can quote a part of it that is not a string; it is
    /// for the developer, not for a log.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let text = self.text().map_or("", |text| text.expose_secret());
        serde_json::from_str(text)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("secret", &self.source.secret)
            .field("version", &self.version)
            .field("stage", &self.stage)
            .field("host", &self.host())
            .field("user", &self.user())
            .field("database", &self.database())
            .finish_non_exhaustive()
    }
}

/// For status pages: everything that is not secret.
impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Credential", 7)?;
        shown.serialize_field("version", self.version())?;
        shown.serialize_field("stage", self.stage.label())?;
        shown.serialize_field("age_seconds", &self.age().as_secs_f64())?;
        shown.serialize_field("host", &self.host())?;
        shown.serialize_field("port", &self.port())?;
        shown.serialize_field("user", &self.user())?;
        shown.serialize_field("database", &self.database())?;
        shown.end()
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use rotating_secret_document::table::ROWS;

    use super::*;

    fn of(version: Version) -> Credential {
        let source = Source {
            secret: "orders/db".into(),
            names: FieldNames::RDS,
        };
        Credential::new(&source.into(), version, Stage::Current, Asked::now())
    }

    fn credential(text: &str) -> Credential {
        of(Version::text("v1", text))
    }

    #[test]
    fn rdss_document_is_read_with_its_numbers_as_numbers_or_text() {
        for port in ["6543", "\"6543\""] {
            let text = format!(
                r#"{{"engine":"postgres","host":"db.example.com","port":{port},"username":"orders","password":"s3cret","dbname":"shop","ssl":"false","overlap_seconds":3600}}"#
            );
            let credential = credential(&text);
            assert_eq!(credential.host(), Some("db.example.com"));
            assert_eq!(credential.port(), 6543);
            assert_eq!(credential.user(), Some("orders"));
            assert_eq!(credential.password().unwrap().expose_secret(), "s3cret");
            assert_eq!(credential.database(), Some("shop"));
            assert!(!credential.tls());
            assert_eq!(credential.overlap_window(), Some(Duration::from_secs(3600)));
        }
    }

    #[test]
    fn every_document_of_the_table_is_read_as_the_function_reads_it() {
        for row in ROWS {
            let credential = credential(row.text);
            match row.reading {
                Ok(read) => {
                    assert!(credential.wrong().is_none(), "{}", row.what);
                    assert_eq!(credential.host(), Some(read.host), "{}", row.what);
                    assert_eq!(credential.port(), read.port, "{}", row.what);
                    assert_eq!(credential.user(), Some(read.user), "{}", row.what);
                    let password = credential.password().map(ExposeSecret::expose_secret);
                    assert_eq!(password, Some(read.password), "{}", row.what);
                    assert_eq!(credential.database(), Some(read.database), "{}", row.what);
                    assert_eq!(credential.tls(), read.tls, "{}", row.what);
                    assert!(credential.url().is_some());
                }
                // a text of another shape is a secret that only the application reads
                Err("DocumentNotJson" | "DocumentNotAnObject") => {
                    assert!(credential.wrong().is_some() && credential.user().is_none());
                }
                Err(_) => {}
            }
        }
    }

    #[test]
    fn json_in_bytes_is_read_too() {
        let document = br#"{"username":"orders","password":"s3cret"}"#.to_vec();
        let version = Version::new("v1", Value::Binary(document.into()));
        let credential = of(version);
        assert_eq!(
            (credential.user(), credential.host()),
            (Some("orders"), None)
        );
        assert!(credential.binary().is_some());
    }

    #[test]
    fn fields_that_the_document_lacks_are_absent_or_have_postgresqls_default() {
        let credential = credential("{}");
        assert_eq!(
            (credential.host(), credential.user(), credential.database()),
            (None, None, None)
        );
        assert!(credential.password().is_none());
        assert_eq!(credential.port(), 5432);
        assert!(credential.tls());
        assert_eq!(credential.overlap_window(), None);
    }

    #[test]
    fn json_of_another_shape_and_text_and_bytes_are_returned_unchanged() {
        let key = credential(r#"{"username":{"first":"a"},"key":"k-1"}"#);
        assert_eq!(key.json::<serde_json::Value>().unwrap()["key"], "k-1");
        assert_eq!(key.user(), None);
        assert_eq!(credential("k-2").text().unwrap().expose_secret(), "k-2");
        assert!(credential("k-2").json::<serde_json::Value>().is_err());
        let version = Version::new("v1", Value::Binary(vec![0, 159, 146].into()));
        let bytes = of(version);
        assert_eq!(bytes.binary().unwrap().expose_secret(), &[0, 159, 146]);
        assert!(bytes.text().is_none());
    }

    #[test]
    fn neither_debug_nor_serialize_shows_the_password() {
        let text = r#"{"host":"db","username":"orders","password":"s3cret","dbname":"shop","token":"t0ken"}"#;
        let credential = credential(text);
        let shown = format!(
            "{credential:?} {credential:#?} {}",
            serde_json::to_string(&credential).unwrap()
        );
        assert!(shown.contains("orders") && shown.contains("v1"), "{shown}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("t0ken"),
            "{shown}"
        );
    }
}
