//! A whole credential: everything that a rotation needs, and the text that is written back.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    error::DocumentError,
    fields::{DEFAULT_DATABASE, DEFAULT_PORT, FieldNames, Fields, OVERLAP_SECONDS},
    host,
    object::{Object, quoted},
    overlap::Overlap,
    pair::Pair,
    read,
    requests::Api,
    strategy::{API_KEY, Strategy},
    url, whole,
};

/// The engines that this function rotates; a document without one is read as the first.
pub const ENGINES: &[&str] = &["postgres", "aurora-postgresql", API_KEY];

/// A credential as it is stored: who logs in where, and everything else that the document says.
#[derive(Clone)]
pub struct Document {
    object: Object,
    host: String,
    port: u16,
    user: String,
    secret: SecretString,
    administrator: Option<String>,
    overlap: Option<Overlap>,
    ignored: Vec<&'static str>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Login(Login),
    ApiKey {
        api: Arc<Api>,
        ready_within: Duration,
    },
    /// The master secret of a service that makes API keys. Its holder has no name here.
    Master,
}

/// What only a login to a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    dbname: String,
    tls: bool,
    rotation_host: Option<String>,
    rotation_port: Option<u16>,
    owner: Option<String>,
    strategy: Strategy,
}

/// The names of a user and a password in a document.
struct Names {
    user: &'static str,
    secret: &'static str,
}

const LOGIN: Names = Names {
    user: "username",
    secret: "password",
};
const KEY: Names = Names {
    user: "key_id",
    secret: "key",
};

impl Document {
    /// Reads a document of one of the [`ENGINES`].
    ///
    /// PostgreSQL's: `host`, `username` and `password` are required, `port` defaults to 5432, `dbname` to `postgres`,
    /// `ssl` to true. An API key's: `masterarn`, `key_id`, `key` and the requests of [`Api`].
    ///
    /// # Errors
    ///
    /// The text is not a JSON object, or a field is missing or has another type. The message holds no value.
    pub fn parse(json: &SecretString) -> Result<Self, DocumentError> {
        Self::parse_for(json, ENGINES)
    }

    /// Reads a document of one of these engines; a document without one is read as the first of them. An engine that is not
    /// among [`ENGINES`] has PostgreSQL's fields, without a default for `port`.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn parse_for(
        json: &SecretString,
        engines: &'static [&'static str],
    ) -> Result<Self, DocumentError> {
        let object = Object::parse(json)?;
        match whole::engine(&object, engines)?.or(engines.first().copied()) {
            Some(API_KEY) => Self::api_key(object),
            engine => {
                let known = engine.is_none_or(|engine| ENGINES.contains(&engine));
                Self::login_of(object, None, known.then_some(DEFAULT_PORT))
            }
        }
    }

    /// Reads the secret of the administrator of `rotated`'s server, which names one of these engines or none.
    ///
    /// A secret that RDS manages holds only `username` and `password`. If it does not say otherwise, its server is that of
    /// `rotated`, and its login requires TLS: a writer of the rotated secret must not turn TLS off for the administrator's
    /// login. The master secret of an API key's service is an object with `key`, and with every other field that its requests
    /// fill in.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn parse_administrator(
        json: &SecretString,
        rotated: &Self,
        engines: &'static [&'static str],
    ) -> Result<Self, DocumentError> {
        let object = Object::parse(json)?;
        whole::engine(&object, engines)?;
        if rotated.api().is_none() {
            let rotated = rotated.for_rotation();
            return Self::login_of(object, Some(&rotated), Some(rotated.port));
        }
        Ok(Self {
            host: rotated.host.clone(),
            port: rotated.port,
            user: String::new(),
            secret: whole::secret(&object, KEY.secret)?,
            administrator: None,
            overlap: None,
            ignored: Vec::new(),
            kind: Kind::Master,
            object,
        })
    }

    /// A user and a password at a server.
    fn login_of(
        object: Object,
        rotated: Option<&Self>,
        default_port: Option<u16>,
    ) -> Result<Self, DocumentError> {
        let fields = Fields::of(&object, &FieldNames::RDS);
        if let Some(wrong) = fields.wrong {
            return Err(wrong);
        }
        let missing = |field| DocumentError::MissingField { field };
        let like = rotated.and_then(Self::login);
        let (rotation_host, rotation_port) =
            host::address(&object, "rotationhost", "rotationport")?;
        let administrator = read::optional(&object, "masterarn")?;
        // an application may have keys of the same names: for a single user they mean nothing
        let mut ignored = Vec::new();
        let strategy = Strategy::of(&object, administrator.is_some())?.unwrap_or_else(|| {
            ignored.push("strategy");
            Strategy::SingleUser
        });
        let alternating = strategy == Strategy::AlternatingUsers;
        let mut ours = |field, wrong| match alternating {
            true => Err(wrong),
            false => {
                ignored.push(field);
                Ok(())
            }
        };
        let owner = match read::optional(&object, "ownerrole") {
            Ok(owner) => owner.filter(|_| alternating),
            Err(error) => ours("ownerrole", error).map(|()| None)?,
        };
        let overlap = match whole::overlap(&object) {
            Ok(overlap) => overlap,
            Err(error) => ours("overlap", error).map(|()| None)?,
        };
        Ok(Self {
            host: fields
                .host
                .or_else(|| rotated.map(|rotated| rotated.host.clone()))
                .ok_or_else(|| missing("host"))?,
            port: fields
                .port
                .or(default_port)
                .ok_or_else(|| missing("port"))?,
            user: fields.username.ok_or_else(|| missing(LOGIN.user))?,
            secret: fields.password.ok_or_else(|| missing(LOGIN.secret))?,
            kind: Kind::Login(Login {
                dbname: fields
                    .dbname
                    .or_else(|| like.map(|like| like.dbname.clone()))
                    .unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
                tls: fields.tls.unwrap_or(true),
                rotation_host,
                rotation_port,
                owner,
                strategy,
            }),
            administrator,
            overlap,
            ignored,
            object,
        })
    }

    /// An API key at the service that its requests name.
    fn api_key(object: Object) -> Result<Self, DocumentError> {
        let missing = |field| DocumentError::MissingField { field };
        let api = Api::read(&object)?;
        // the service that verifies the key is its server
        let (host, port) = api.verify.server().ok_or_else(|| missing("verify"))?;
        Ok(Self {
            host,
            port,
            user: key_id(&object)?,
            secret: whole::secret(&object, KEY.secret)?,
            administrator: Some(whole::required(&object, "masterarn")?),
            overlap: whole::overlap(&object)?,
            ignored: Vec::new(),
            kind: Kind::ApiKey {
                api: Arc::new(api),
                ready_within: whole::ready_within(&object)?,
            },
            object,
        })
    }

    fn names(&self) -> &'static Names {
        match self.kind {
            Kind::Login(_) => &LOGIN,
            Kind::ApiKey { .. } | Kind::Master => &KEY,
        }
    }

    /// The document as it is stored: unchanged except for the values that were replaced.
    pub fn to_json(&self) -> SecretString {
        self.object.to_text()
    }

    /// The same document with another password.
    pub fn with_password(&self, password: SecretString) -> Self {
        let mut document = self.clone();
        let json = quoted(password.expose_secret());
        document.object = self.object.with(self.names().secret, &json);
        document.secret = password;
        document
    }

    /// The same document with another user, and with the overlap that clients may rely on.
    pub fn with_user(&self, username: String, password: SecretString, overlap: Overlap) -> Self {
        let mut document = self.with_password(password);
        let object = document.object.with(self.names().user, &quoted(&username));
        document.object = match overlap {
            Overlap::Bounded(window) => object.with(OVERLAP_SECONDS, &window.as_secs().to_string()),
            Overlap::Unbounded => object.without(OVERLAP_SECONDS),
        };
        document.user = username;
        document
    }

    /// The same document with the user and the password of another version, if it has them. Everything else in that version is
    /// left out: its requests may have been wrong, and corrected since.
    pub fn about(&self, version: &SecretString) -> Option<Self> {
        let object = Object::parse(version).ok()?;
        whole::engine(&object, ENGINES).ok()?;
        let names = self.names();
        let user = match self.kind {
            Kind::ApiKey { .. } => key_id(&object).ok()?,
            _ => whole::required(&object, names.user).ok()?,
        };
        let secret = whole::secret(&object, names.secret).ok()?;
        let mut document = self.with_password(secret);
        document.object = document.object.with(names.user, &quoted(&user));
        document.user = user;
        Some(document)
    }

    /// The same document, with TLS as `current` has it. A version may differ from AWSCURRENT in that alone, and then AWSCURRENT
    /// counts.
    pub fn with_tls_of(mut self, current: &Self) -> Self {
        if let (Kind::Login(own), Kind::Login(current)) = (&mut self.kind, &current.kind) {
            own.tls = current.tls;
        }
        self
    }

    /// The first field that differs between two documents and says where a password is sent, or who sets it.
    ///
    /// A pending version that names another server than the current one would send a credential to the owner of that server.
    /// `ssl` is not compared: see [`with_tls_of`](Self::with_tls_of).
    pub fn differs_from(&self, other: &Self) -> Option<&'static str> {
        let (own, others) = (self.login(), other.login());
        let differs = |field: fn(&Login) -> Option<&str>| own.map(field) != others.map(field);
        let of = |login: Option<&Login>| login.map(|login| (login.rotation_port, login.strategy));
        [
            ("host", self.host != other.host),
            ("port", self.port != other.port),
            (
                "rotationhost",
                differs(|login| login.rotation_host.as_deref()),
            ),
            (
                "rotationport",
                of(own).map(|of| of.0) != of(others).map(|of| of.0),
            ),
            ("dbname", differs(|login| Some(&login.dbname))),
            ("masterarn", self.administrator != other.administrator),
            ("ownerrole", differs(|login| login.owner.as_deref())),
            (
                "strategy",
                of(own).map(|of| of.1) != of(others).map(|of| of.1),
            ),
            ("request", self.api() != other.api()),
        ]
        .into_iter()
        .find_map(|(field, differs)| differs.then_some(field))
    }

    /// What only a login has.
    pub fn login(&self) -> Option<&Login> {
        match &self.kind {
            Kind::Login(login) => Some(login),
            Kind::ApiKey { .. } | Kind::Master => None,
        }
    }

    /// The requests of the service, for an API key; `None` for everything that logs in.
    pub fn api(&self) -> Option<&Api> {
        match &self.kind {
            Kind::ApiKey { api, .. } => Some(api),
            Kind::Login(_) | Kind::Master => None,
        }
    }

    /// Any other text of the document.
    pub fn text(&self, field: &str) -> Option<Cow<'_, str>> {
        self.object.text(field)
    }

    /// Host and port, for messages.
    pub fn server(&self) -> String {
        host::with_port(&self.host, self.port)
    }

    /// The server's name or address; an API key's is that of the service that verifies it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `rotationhost` and `rotationport`: the same document at the address where roles are changed, if applications log in
    /// elsewhere (a reader, a pooler, a name that the certificate lacks).
    pub fn for_rotation(&self) -> Self {
        let mut document = self.clone();
        if let Kind::Login(login) = &mut document.kind {
            document.host = login.rotation_host.take().unwrap_or(document.host);
            document.port = login.rotation_port.take().unwrap_or(document.port);
        }
        document
    }

    /// Whether roles are changed at another address than the one where applications log in.
    pub fn has_rotation_address(&self) -> bool {
        self.login().is_some_and(|login| {
            let host = login.rotation_host.as_deref();
            host.is_some_and(|host| host != self.host)
                || login.rotation_port.is_some_and(|port| port != self.port)
        })
    }

    /// The role that logs in, or an API key's id; empty for a master secret.
    pub fn username(&self) -> &str {
        &self.user
    }

    /// Its password, or the key itself.
    pub fn password(&self) -> &SecretString {
        &self.secret
    }

    /// Whether the login requires TLS: always, unless the document says `"ssl": false`.
    pub fn tls(&self) -> bool {
        self.login().is_none_or(|login| login.tls)
    }

    /// `masterarn`: the administrator's secret, or the master secret.
    pub fn administrator(&self) -> Option<&str> {
        self.administrator.as_deref()
    }

    /// How it rotates.
    pub fn strategy(&self) -> Strategy {
        self.login()
            .map_or(Strategy::ApiKey, |login| login.strategy)
    }

    /// Whether two users, or two keys, take turns, so that the old credential stays valid for its overlap.
    pub fn takes_turns(&self) -> bool {
        self.strategy() != Strategy::SingleUser
    }

    /// The user of the next rotation: the other one of two users, or the same user.
    pub fn next_user(&self) -> String {
        match self.takes_turns() {
            true => Pair::of(&self.user).other_than(&self.user).to_owned(),
            false => self.user.clone(),
        }
    }

    /// `ready_within`: how long after it was made an API key may still be rejected; a minute at most.
    pub fn ready_within(&self) -> Duration {
        match self.kind {
            Kind::ApiKey { ready_within, .. } => ready_within,
            Kind::Login(_) | Kind::Master => Duration::ZERO,
        }
    }

    /// `overlap`: how long the old user's password stays valid, in place of the function's own setting.
    pub fn overlap(&self) -> Option<Overlap> {
        self.overlap
    }

    /// The keys that have the names of this function's own but other values. Single user does not use them.
    pub fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }
}

impl Login {
    /// The database that it connects to.
    pub fn dbname(&self) -> &str {
        &self.dbname
    }

    /// `ownerrole`: the role that owns what either user creates, in place of the base user.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}

/// An API key's id, which requests name as one segment of a path.
fn key_id(object: &Object) -> Result<String, DocumentError> {
    let id = whole::required(object, KEY.user)?;
    match url::is_segment(&id) {
        true => Ok(id),
        false => Err(DocumentError::WrongType {
            field: KEY.user,
            expected: "one segment of a path: not . or .., and without / \\ ? # % ; and control characters",
        }),
    }
}

/// Shows the names of the keys, and no value that the application added.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.user)
            .field("login", &self.login())
            .field("keys", &self.object)
            .finish_non_exhaustive()
    }
}
