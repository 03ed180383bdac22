//! The interface between a step and the world: it records each call, and answers from a list or never.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    task::Poll,
    time::{Duration, SystemTime},
};

use secrecy::{ExposeSecret, SecretString};
use secret_rotation::{
    document::Document,
    store::{self, Form, SecretStore, StoreError, Versions, Which, Written},
};
use serde_json::{Value, json};

use crate::calls::{Answer, Call, Credential, Label, Version, View};

/// The unit of time: an overlap window.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

pub(crate) fn time(windows: u8) -> SystemTime {
    SystemTime::UNIX_EPOCH + WINDOW * u32::from(windows)
}

/// How the secret is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Strategy {
    Single,
    Alternating,
    Keys,
}

/// The part of an engine that outlives an invocation: `Kept`, in src/engine/postgres/kept.rs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// The secret for which the administrator's session is kept.
    pub(crate) administrator: Cell<Option<u8>>,
    /// The version of the proven session.
    pub(crate) proven: Cell<Option<Version>>,
}

/// One delivery's line to the world.
pub(crate) struct Line<'a> {
    pub(crate) strategy: Strategy,
    pub(crate) kept: &'a Kept,
    passwords: &'a Passwords,
    answers: BTreeMap<u8, Answer>,
    pub(crate) asked: RefCell<Vec<Call>>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(
        strategy: Strategy,
        kept: &'a Kept,
        passwords: &'a Passwords,
        answers: &[(u8, Answer)],
    ) -> Self {
        Self {
            strategy,
            kept,
            passwords,
            answers: answers.iter().copied().collect(),
            asked: RefCell::default(),
        }
    }

    /// Makes a call, and waits forever if it has no answer yet.
    pub(crate) async fn ask(&self, call: Call) -> Answer {
        let number = self.asked.borrow().len() as u8;
        self.asked.borrow_mut().push(call);
        let answer = self.answers.get(&number).copied();
        poll_fn(|_| answer.map_or(Poll::Pending, Poll::Ready)).await
    }

    pub(crate) fn credential(&self, document: &Document) -> Credential {
        let (user, password) = (document.username(), document.password().expose_secret());
        self.passwords.credential(user, password)
    }

    fn version(&self, found: Option<(Version, Credential, u8)>) -> Option<store::Version> {
        found.map(|(version, credential, stored)| store::Version {
            secret: "arn:secret".to_owned(),
            id: version.to_string(),
            document: self.passwords.document(self.strategy, credential).into(),
            form: Form::Text,
            created: Some(time(stored)),
        })
    }
}

/// The requests in a secret with a key. They are parsed here, and never sent.
const REQUESTS: &str = r#"{
    "engine": "http-api-key", "masterarn": "master",
    "create": {"method": "POST", "url": "https://h/keys", "body": {"name": "{label}"}, "id": "/id", "key": "/key"},
    "verify": {"method": "GET", "url": "https://h/me", "headers": {"authorization": "{key}"}},
    "delete": {"method": "DELETE", "url": "https://h/keys/{key_id}"},
    "list": {"method": "GET", "url": "https://h/keys", "keys": "/keys", "id": "/id", "label": "/name"}
}"#;

/// The text of each password, and back.
#[derive(Debug, Default)]
pub(crate) struct Passwords(BTreeMap<u8, String>);

impl Passwords {
    pub(crate) fn keep(&mut self, number: u8, password: String) {
        self.0.entry(number).or_insert(password);
    }

    /// The text of a document.
    pub(crate) fn document(&self, strategy: Strategy, credential: Credential) -> String {
        let Credential { user, password } = credential;
        if strategy == Strategy::Keys {
            let mut document: Value = serde_json::from_str(REQUESTS).unwrap();
            document["key_id"] = user.to_string().into();
            document["key"] = user.to_string().into();
            return document.to_string();
        }
        let text = self.0.get(&password).map_or("?", String::as_str);
        let username = if user == 0 { "app" } else { "app_clone" };
        let mut document = json!({"host": "h", "username": username, "password": text});
        if strategy == Strategy::Alternating {
            document["masterarn"] = "master".into();
        }
        document.to_string()
    }

    pub(crate) fn credential(&self, user: &str, password: &str) -> Credential {
        if let Ok(key) = user.parse() {
            return Credential {
                user: key,
                password: key,
            };
        }
        let known = self.0.iter().find(|(_, known)| *known == password);
        Credential {
            user: u8::from(user == "app_clone"),
            password: known.map_or(u8::MAX, |(number, _)| *number),
        }
    }

    fn of(&self, document: &SecretString) -> Credential {
        let document: Value = serde_json::from_str(document.expose_secret()).unwrap();
        let text = |field: &str| document[field].as_str().unwrap_or_default();
        match document.get("key_id") {
            Some(_) => self.credential(text("key_id"), text("key")),
            None => self.credential(text("username"), text("password")),
        }
    }
}

pub(crate) fn number(version: &str) -> Version {
    version.parse().unwrap()
}

fn lost() -> StoreError {
    StoreError::Unreachable {
        operation: "a call",
        reason: "its answer was lost".to_owned(),
    }
}

fn refused() -> StoreError {
    StoreError::Refused {
        operation: "a call",
        code: "InvalidRequestException".to_owned(),
        message: "the label is elsewhere".to_owned(),
    }
}

impl Line<'_> {
    pub(crate) async fn write(&self, call: Call) -> Result<Written, StoreError> {
        match self.ask(call).await {
            Answer::Done => Ok(Written::Stored),
            Answer::Conflict => Ok(Written::Conflict),
            Answer::Refused => Err(refused()),
            _ => Err(lost()),
        }
    }

    pub(crate) fn pending(&self, token: &str, document: &SecretString) -> (Version, Credential) {
        (number(token), self.passwords.of(document))
    }
}

impl SecretStore for Line<'_> {
    async fn versions(&self, _: &str) -> Result<Versions, StoreError> {
        match self.ask(Call::Describe).await {
            Answer::Labels(view) => Ok(versions(&view)),
            _ => Err(lost()),
        }
    }

    async fn read(
        &self,
        secret: &str,
        which: Which<'_>,
    ) -> Result<Option<store::Version>, StoreError> {
        let call = match which {
            _ if secret == "master" => Call::ReadAdministrator,
            Which::Current => Call::Read(Label::Current),
            Which::Previous => Call::Read(Label::Previous),
            Which::Pending(token) => Call::ReadPending(number(token)),
            Which::Version(version) => Call::ReadVersion(number(version)),
        };
        match self.ask(call).await {
            Answer::Value(found) => Ok(self.version(found)),
            Answer::Done => Ok(Some(store::Version {
                secret: "arn:master".to_owned(),
                id: "of the administrator".to_owned(),
                document: r#"{"username":"admin","password":"x","key":"x"}"#.into(),
                form: Form::Text,
                created: None,
            })),
            Answer::Refused => Err(refused()),
            _ => Err(lost()),
        }
    }

    async fn write_pending(
        &self,
        _: &str,
        token: &str,
        _: Option<&SecretString>,
        document: &SecretString,
        _: Form,
    ) -> Result<Written, StoreError> {
        let (token, credential) = self.pending(token, document);
        self.write(Call::Put(token, credential)).await
    }

    async fn promote(&self, _: &str, token: &str, from: &str) -> Result<(), StoreError> {
        let call = Call::Promote(number(token), number(from));
        self.write(call).await.map(drop)
    }

    async fn unstage(&self, _: &str, _: &str) -> Result<(), StoreError> {
        self.write(Call::TakeOff).await.map(drop)
    }
}

/// As DescribeSecret writes it.
pub(crate) fn versions(view: &View) -> Versions {
    let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (label, version) in [
        ("AWSCURRENT", Some(view.current)),
        ("AWSPREVIOUS", view.previous),
        ("AWSPENDING", view.pending),
    ] {
        if let Some(version) = version {
            let labels = labels.entry(version.to_string()).or_default();
            labels.push(label.to_owned());
        }
    }
    Versions {
        rotation_enabled: view.enabled,
        rotated: view.rotated.map(time),
        labels,
    }
}
