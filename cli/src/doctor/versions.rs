//! The versions of the three labels: their values, and whether they log in.

use aws_sdk_secretsmanager::{Client, types::SecretVersionsListEntry};
use secrecy::SecretString;
use secret_rotation::{
    document::{Document, DocumentError},
    engine::{
        Engine, Login,
        postgres::{Postgres, Session},
    },
};

use super::{finding::Verdict, labels::Labels};
use crate::{
    aws::{self, explain},
    secrets::text,
};

/// AWSPENDING and AWSPREVIOUS are none if they are on AWSCURRENT's version.
#[derive(Debug)]
pub(super) struct Versions {
    pub(super) current: Option<Value>,
    pub(super) pending: Option<Value>,
    pub(super) previous: Option<Value>,
}

impl Versions {
    pub(super) async fn read(client: &Client, secret: &str, placed: &Labels<'_>) -> Self {
        let read = async |id: Option<&str>, label| {
            Some(Value::read(client, secret, id?, Some(label)).await)
        };
        let previous = placed.previous.filter(|id| Some(*id) != placed.current);
        Self {
            current: read(placed.current, "AWSCURRENT").await,
            pending: read(placed.pending, "AWSPENDING").await,
            previous: read(previous, "AWSPREVIOUS").await,
        }
    }

    /// Why AWSCURRENT could not be read, if the service gave a reason.
    pub(super) fn unread(&self) -> Option<&aws::Error> {
        match &self.current {
            Some(Value::Unread(error)) => Some(error),
            _ => None,
        }
    }
}

/// How many versions without a label to try, newest first: a server may lock a role after too many rejected logins.
const TRIED: usize = 10;

/// A version without a label that logs in, and the AWSCURRENT version. Someone may have stored too many values by hand. The function may
/// not list versions, but an operator may.
pub(super) async fn unlabelled(
    client: &Client,
    secret: &str,
    postgres: &Postgres<'_>,
    current: &Document,
) -> Option<(String, String)> {
    let listed = client.list_secret_version_ids().secret_id(secret);
    let listed = listed.include_deprecated(true).send().await.ok()?;
    let has = |version: &&SecretVersionsListEntry, label: &str| {
        version.version_stages().iter().any(|of| of == label)
    };
    let mut versions: Vec<_> = listed.versions().iter().collect();
    let current_version = versions.iter().find(|version| has(version, "AWSCURRENT"))?;
    let current_version = current_version.version_id()?.to_owned();
    versions.retain(|version| version.version_stages().is_empty());
    versions
        .sort_by_key(|version| std::cmp::Reverse(version.created_date().map(|date| date.secs())));
    for id in versions
        .into_iter()
        .filter_map(|version| version.version_id())
        .take(TRIED)
    {
        let value = Value::read(client, secret, id, None).await;
        if let Answer::LogsIn(_) = value.log_in(postgres, current).await {
            return Some((id.to_owned(), current_version));
        }
    }
    None
}

/// The value of a version.
#[derive(Debug)]
pub(super) enum Value {
    Document(Box<Document>),
    Invalid(DocumentError),
    Binary,
    /// There is no value: RotateSecret has made the version, but createSecret has not run.
    None,
    Unread(aws::Error),
}

/// The server's answer to a login with this version.
#[derive(Debug)]
pub(super) enum Answer {
    LogsIn(Box<Session>),
    Rejected,
    /// The value is no login, or the server says what is wrong.
    Wrong(String),
    /// The server was not asked, or its answer was not clear.
    Unknown(String),
}

/// An answer without its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    LogsIn,
    /// The server rejected it, or the version has no value.
    Rejected,
    Unknown,
}

impl Value {
    async fn read(client: &Client, secret: &str, id: &str, label: Option<&str>) -> Self {
        let request = client.get_secret_value().secret_id(secret);
        let request = request.version_id(id);
        let request = request.set_version_stage(label.map(str::to_owned));
        let answer = request.send().await;
        match answer.map(|answer| text(answer.secret_string, answer.secret_binary)) {
            Ok(Some(json)) => Self::of(&json),
            Ok(None) => Self::Binary,
            Err(error) => match explain("secretsmanager:GetSecretValue", error) {
                aws::Error::Absent { .. } => Self::None,
                error => Self::Unread(error),
            },
        }
    }

    pub(super) fn of(json: &SecretString) -> Self {
        match Document::parse(json) {
            Ok(document) => Self::Document(Box::new(document)),
            Err(error) => Self::Invalid(error),
        }
    }

    /// Logs in with the version, if it names the same server as AWSCURRENT: no other server may get a credential.
    pub(super) async fn log_in(&self, postgres: &Postgres<'_>, current: &Document) -> Answer {
        let document = match self {
            Self::Document(document) => document,
            Self::None => return Answer::Rejected,
            Self::Invalid(error) => return Answer::Wrong(error.to_string()),
            Self::Binary => return Answer::Wrong("has SecretBinary".to_owned()),
            Self::Unread(error) => return Answer::Unknown(error.to_string()),
        };
        if let Some(field) = document.differs_from(current) {
            let why = format!("names another {field} than AWSCURRENT, and was not tried");
            return Answer::Wrong(why);
        }
        log_in(postgres, &document.clone().with_tls_of(current)).await
    }
}

pub(super) async fn log_in(postgres: &Postgres<'_>, document: &Document) -> Answer {
    match postgres.log_in(document).await {
        Ok(Login::Accepted(session)) => Answer::LogsIn(Box::new(session)),
        Ok(Login::Rejected) => Answer::Rejected,
        Err(error) => match Verdict::of(&error) {
            Verdict::Wrong { what, .. } => Answer::Wrong(what),
            verdict => Answer::Unknown(verdict.what().to_owned()),
        },
    }
}

impl Answer {
    pub(super) fn said(&self) -> Said {
        match self {
            Self::LogsIn(_) => Said::LogsIn,
            Self::Rejected => Said::Rejected,
            Self::Wrong(_) | Self::Unknown(_) => Said::Unknown,
        }
    }

    pub(super) fn session(&self) -> Option<&Session> {
        match self {
            Self::LogsIn(session) => Some(session),
            Self::Rejected | Self::Wrong(_) | Self::Unknown(_) => None,
        }
    }
}
