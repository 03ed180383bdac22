//! The stored credentials at the start of the command, and whether they still work.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use futures_util::future::join_all;
use secrecy::SecretString;
use secret_rotation::{document::Document, engine::EngineError};

use super::timeline::{OldCredential, Proof, Timeline};
use crate::{
    aws::{self, explain},
    login::Logins,
    retry::persist,
    secrets::{CURRENT, Outline, PENDING, PREVIOUS, Strategy, text},
};

const ACTION: &str = "secretsmanager:GetSecretValue";

/// A stored version. It is only in memory, and only while the command runs.
pub(super) struct Version {
    pub(super) id: String,
    pub(super) label: &'static str,
    value: SecretString,
}

impl Version {
    /// The document, or why it cannot be read.
    pub(super) fn document(&self) -> Result<Document, String> {
        Document::parse(&self.value).map_err(|error| format!("the {} version {error}", self.label))
    }

    pub(super) fn strategy(&self) -> Strategy {
        let outline = Outline::read(&self.value);
        outline.map_or(Strategy::SingleUser, |outline| outline.strategy)
    }
}

/// The version with this label. None if no version has it, or if that version has no value.
pub(super) async fn version(
    client: &Client,
    secret: &str,
    label: &'static str,
    limit: Duration,
) -> Result<Option<Version>, aws::Error> {
    let read = persist(limit, || async {
        let read = client.get_secret_value().secret_id(secret);
        let read = read.version_stage(label).send().await;
        read.map_err(|error| explain(ACTION, error))
    });
    match read.await {
        Ok(value) => Ok(Some(Version {
            id: value.version_id.unwrap_or_default(),
            label,
            value: text(value.secret_string, value.secret_binary).unwrap_or_default(),
        })),
        Err(aws::Error::Absent { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All versions with a label and a value, AWSCURRENT's first; and the errors of the others.
pub(super) async fn versions(
    client: &Client,
    secret: &str,
    limit: Duration,
) -> (Vec<Version>, Vec<aws::Error>) {
    let (mut versions, mut unread) = (Vec::<Version>::new(), Vec::new());
    for label in [CURRENT, PENDING, PREVIOUS] {
        match version(client, secret, label, limit).await {
            // after a rotation AWSPENDING may stay on AWSCURRENT's version
            Ok(Some(version)) if versions.iter().any(|known| known.id == version.id) => {}
            Ok(found) => versions.extend(found),
            Err(error) => unread.push(error),
        }
    }
    (versions, unread)
}

/// The old credentials, to try at the server.
pub(super) struct Old<'a> {
    logins: &'a Logins,
    timeline: &'a Timeline,
    /// In the order of the timeline's list. None: its login is not tried, or not tried again.
    documents: Vec<Option<Document>>,
    /// Whether each has logged in at least once.
    worked: Vec<bool>,
}

impl<'a> Old<'a> {
    /// Records the credentials in the timeline.
    pub(super) fn new(
        versions: &[Version],
        logins: &'a Logins,
        may_log_in: bool,
        timeline: &'a Timeline,
    ) -> Self {
        let mut documents: Vec<Option<Document>> = Vec::new();
        for version in versions {
            let current = documents.first().and_then(Option::as_ref);
            let document = version.document().map(|document| match current {
                // without TLS only if AWSCURRENT has no TLS either
                Some(current) => document.with_tls_of(current),
                None => document,
            });
            let elsewhere = document
                .as_ref()
                .ok()
                .and_then(|document| document.differs_from(current?));
            let not_tried = match (may_log_in, &document, elsewhere) {
                (false, ..) => Some("--no-login".to_owned()),
                (_, Err(error), _) => Some(error.clone()),
                // a password goes only to the server that AWSCURRENT names
                (_, _, Some(field)) => Some(format!("its \"{field}\" is not AWSCURRENT's")),
                (_, Ok(document), None) => logins.obstacle(document).map(str::to_owned),
            };
            let user = document.as_ref().map(|document| document.username());
            if let Some(reason) = not_tried.as_ref().filter(|_| may_log_in) {
                timeline.add(format!(
                    "the credential in version {}, the former {}, is not tried from here, so the proof rests on the function's \
                     answer: {reason}",
                    version.id, version.label
                ));
            }
            timeline.add_credential(OldCredential {
                version: version.id.clone(),
                label: version.label,
                user: user.unwrap_or("an unknown user").to_owned(),
                stopped_working: None,
                proof: not_tried.clone().map_or(Proof::None, Proof::NotTried),
            });
            documents.push(document.ok().filter(|_| not_tried.is_none()));
        }
        Self {
            logins,
            timeline,
            worked: vec![false; documents.len()],
            documents,
        }
    }

    /// Tries each login before the first step: a later rejection proves more if the login worked before.
    pub(super) async fn before(&mut self) {
        self.look().await;
        let working = self.worked.iter().filter(|worked| **worked).count();
        match self.timeline.tried() {
            (_, 0) => {}
            (_, tried) => self
                .timeline
                .add(format!("{working} of {tried} stored credentials log in")),
        }
    }

    /// Tries the credentials that may still work, and records those that do not.
    pub(super) async fn look(&mut self) {
        let left = self.documents.iter().enumerate();
        let left: Vec<(usize, &Document)> = left
            .filter_map(|(place, document)| Some((place, document.as_ref()?)))
            .collect();
        let Some((first, others)) = left.split_first() else {
            return;
        };
        // a server that cannot be reached is tried only once, not for each version
        let answer = self.logins.accepts(first.1).await;
        let mut answers = Vec::new();
        match &answer {
            Err(
                error @ (EngineError::Unreachable { .. }
                | EngineError::TimedOut { .. }
                | EngineError::CertificateInvalid { .. }
                | EngineError::ServiceUnreachable { .. }
                | EngineError::ServiceTimedOut { .. }
                | EngineError::ServiceCertificateInvalid { .. }),
            ) => {
                let reason = error.to_string();
                answers.extend(
                    others
                        .iter()
                        .map(|(place, _)| (*place, Err(reason.clone()))),
                );
            }
            _ => {
                let asked = others.iter().map(async |(place, document)| {
                    let answer = self.logins.accepts(document).await;
                    (*place, answer.map_err(|error| error.to_string()))
                });
                answers = join_all(asked).await;
            }
        }
        answers.insert(0, (first.0, answer.map_err(|error| error.to_string())));
        for (place, answer) in answers {
            self.enter(place, answer);
        }
    }

    fn enter(&mut self, place: usize, answer: Result<bool, String>) {
        let Some(document) = &self.documents[place] else {
            return;
        };
        let worked = self.worked[place];
        let (what, rejection) = match document.api() {
            None => (
                "the password of",
                "the server rejects a login with it (28P01)",
            ),
            Some(_) => ("the key", "the service rejects it"),
        };
        let user = document.username().to_owned();
        let entered = self.timeline.credential(place, |credential| {
            let name = format!(
                "{what} {user} in version {}, the former {},",
                credential.version, credential.label
            );
            match answer {
                Ok(true) => None,
                Ok(false) => {
                    credential.proof = Proof::LoginRejected;
                    credential.stopped_working = worked.then(SystemTime::now);
                    let how = if worked {
                        "no longer works"
                    } else {
                        "does not work"
                    };
                    Some(format!("{name} {how}: {rejection}"))
                }
                Err(error) => {
                    credential.proof = Proof::NotTried(error.clone());
                    Some(format!(
                        "{name} cannot be tried from here, so the proof rests on the function's answer: {error}"
                    ))
                }
            }
        });
        match entered.flatten() {
            None => self.worked[place] = true,
            Some(event) => {
                // no second try: the answer is known, or cannot be found out from here
                self.documents[place] = None;
                self.timeline.add(event);
            }
        }
    }

    /// The users whose old credentials still work.
    pub(super) fn working(&self) -> Vec<&str> {
        let working = self.documents.iter().flatten();
        working.map(Document::username).collect()
    }
}
