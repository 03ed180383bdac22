//! The credentials that were stored when the command began, and whether they still work.

use std::time::SystemTime;

use aws_sdk_secretsmanager::Client;
use secrecy::{ExposeSecret, SecretString};
use secret_rotation::document::Document;

use super::{
    Error,
    timeline::{OldCredential, Proof, Timeline},
};
use crate::{
    aws::{self, explain},
    login::Logins,
    secrets::{CURRENT, Outline, PENDING, PREVIOUS, Strategy},
};

const ACTION: &str = "secretsmanager:GetSecretValue";

/// A version as it is stored. It stays in memory, and there no longer than the command runs.
pub(super) struct Version {
    pub(super) id: String,
    pub(super) label: &'static str,
    value: SecretString,
}

impl Version {
    /// What the document says.
    pub(super) fn document(&self) -> Result<Document, Error> {
        Document::parse(&self.value).map_err(|source| Error::Document {
            label: self.label,
            source,
        })
    }

    pub(super) fn strategy(&self) -> Strategy {
        let outline = Outline::read(self.value.expose_secret());
        outline.map_or(Strategy::SingleUser, |outline| outline.strategy())
    }
}

/// All versions that have a label and a value, AWSCURRENT's first.
pub(super) async fn versions(client: &Client, secret: &str) -> Result<Vec<Version>, aws::Error> {
    let mut versions: Vec<Version> = Vec::new();
    for label in [CURRENT, PENDING, PREVIOUS] {
        let read = client.get_secret_value().secret_id(secret);
        let read = read.version_stage(label).send().await;
        let value = match read.map_err(|error| explain(ACTION, error)) {
            // the label is nowhere, or its version has no value yet
            Err(aws::Error::Absent { .. }) if label != CURRENT => continue,
            value => value?,
        };
        let id = value.version_id.unwrap_or_default();
        // AWSPENDING may be left on AWSCURRENT when all is done
        if versions.iter().any(|version| version.id == id) {
            continue;
        }
        versions.push(Version {
            id,
            label,
            value: value.secret_string.unwrap_or_default().into(),
        });
    }
    Ok(versions)
}

/// The old credentials that the server is asked about.
pub(super) struct Old {
    logins: Logins,
    /// In the order of the timeline's own list; without a document where no login is tried.
    documents: Vec<Option<Document>>,
}

impl Old {
    /// Enters the credentials into the timeline, and sees which of them log in before anything is done: a login that
    /// is rejected afterwards proves something if it was accepted before.
    pub(super) async fn new(
        versions: Vec<Version>,
        logins: Logins,
        may_log_in: bool,
        timeline: &mut Timeline,
    ) -> Result<Self, Error> {
        let mut documents: Vec<Option<Document>> = Vec::new();
        for version in versions {
            let document = version.document()?;
            let current = documents.first().and_then(Option::as_ref);
            let elsewhere = current.and_then(|current| document.differs_from(current));
            let not_tried = match (may_log_in, elsewhere) {
                (false, _) => Some("--no-login".to_owned()),
                // a password is not taken to where the current one does not go
                (_, Some(field)) => Some(format!("its \"{field}\" is not AWSCURRENT's")),
                _ => None,
            };
            timeline.old_credentials.push(OldCredential {
                version: version.id,
                label: version.label,
                user: document.username().to_owned(),
                stopped_working: None,
                proof: not_tried.clone().map_or(Proof::None, Proof::NotTried),
            });
            documents.push(Some(document).filter(|_| not_tried.is_none()));
        }
        let mut old = Self { logins, documents };
        old.ask(timeline, false).await?;
        let (working, tried) = (old.documents.iter().flatten().count(), timeline.tried());
        if tried > 0 {
            timeline.add(format!("{working} of {tried} stored credentials log in"))?;
        }
        Ok(old)
    }

    /// Tries those that worked when they were last tried, and enters which of them do not any more.
    pub(super) async fn look(&mut self, timeline: &mut Timeline) -> Result<(), Error> {
        self.ask(timeline, true).await
    }

    async fn ask(&mut self, timeline: &mut Timeline, worked: bool) -> Result<(), Error> {
        for (place, slot) in self.documents.iter_mut().enumerate() {
            let Some(document) = slot else { continue };
            let answer = self.logins.accepts(document).await;
            let credential = &mut timeline.old_credentials[place];
            let (what, rejection) = match document.api() {
                None => (
                    "the password of",
                    "the server rejects a login with it (28P01)",
                ),
                Some(_) => ("the key", "the service rejects it"),
            };
            let name = format!(
                "{what} {} in version {}, {} of before,",
                document.username(),
                credential.version,
                credential.label
            );
            let event = match answer {
                Ok(true) => continue,
                Ok(false) => {
                    credential.proof = Proof::LoginRejected;
                    credential.stopped_working = worked.then(SystemTime::now);
                    let does_not_work = if worked {
                        "does not work any more"
                    } else {
                        "did not work before"
                    };
                    format!("{name} {does_not_work}: {rejection}")
                }
                Err(error) => {
                    credential.proof = Proof::NotTried(error.to_string());
                    format!(
                        "{name} cannot be tried from here, so the function's word will stand for it: {error}"
                    )
                }
            };
            // once is enough: it is known, or is not to be had
            *slot = None;
            timeline.add(event)?;
        }
        Ok(())
    }

    /// Whether a credential that is in force logs in; none where the server did not say.
    pub(super) async fn accepts(&self, document: &Document) -> Option<bool> {
        self.logins.accepts(document).await.ok()
    }

    /// The users whose old passwords still work.
    pub(super) fn working(&self) -> Vec<&str> {
        let working = self.documents.iter().flatten();
        working.map(Document::username).collect()
    }
}
