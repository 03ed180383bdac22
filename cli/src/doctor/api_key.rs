//! An API key: there is no server to be looked into, the service's own answers tell.

use std::time::SystemTime;

use aws_sdk_secretsmanager::Client;
use secret_rotation::{
    document::Document,
    engine::{Engine, Login, api_key::ApiKey},
};

use super::{
    administrator,
    finding::{Cure, Finding, Verdict},
    labels::Labels,
    pending::{Logins, labels},
    shell::Shell,
    versions::{Said, Value, Versions},
};

/// What is asked of the service, and with what.
pub(super) struct Service<'a> {
    pub(super) client: &'a Client,
    pub(super) engine: ApiKey<'a>,
    pub(super) document: &'a Document,
    pub(super) shell: &'a Shell,
}

impl Service<'_> {
    /// The keys of the versions, the labels, and the master secret.
    pub(super) async fn examine(
        &self,
        versions: &Versions,
        placed: &Labels<'_>,
        now: SystemTime,
    ) -> Vec<Finding> {
        let (current, why) = self.verify(self.document).await;
        let mut findings = vec![Finding::new("AWSCURRENT", self.current(current, why))];
        let pending = self.other(versions.pending.as_ref()).await;
        if let Some((said, why)) = &pending {
            let verdict = verdict(*said, why, "is good", "is not good");
            findings.push(Finding::new("AWSPENDING", verdict));
        }
        if let Some((said, why)) = self.other(versions.previous.as_ref()).await {
            let good =
                "is good, until its overlap is over and the next rotation comes, or revokeSecret";
            let verdict = verdict(said, &why, good, "is good no more");
            findings.push(Finding::new("AWSPREVIOUS", verdict));
        }
        let logins = Logins {
            current,
            pending: pending.map_or(Said::Rejected, |(said, _)| said),
            // a rotation needs no key that is good: the master secret makes the next one
            previous: Said::LogsIn,
        };
        findings.push(Finding::new(
            "labels",
            labels(placed, logins, self.shell, now),
        ));
        findings.push(Finding::new("master", self.master().await));
        findings
    }

    fn current(&self, said: Said, why: String) -> Verdict {
        let key = self.document.username();
        match said {
            Said::LogsIn => Verdict::ok(format!("{} takes the key {key}", self.document.server())),
            Said::Unknown => Verdict::wrong(why, Cure::default()),
            Said::Rejected => {
                let what = format!("{} rejects the key {key}", self.document.server());
                let advice = "rotate, which makes another one (where AWSPENDING was left over, see labels first):";
                let rotate = self.shell.secrets_manager("rotate-secret", &[]);
                Verdict::wrong(what, Cure::advice(advice).command(rotate))
            }
        }
    }

    async fn other(&self, value: Option<&Value>) -> Option<(Said, String)> {
        Some(match value? {
            Value::Document(document) => match document.differs_from(self.document) {
                None => self.verify(document).await,
                Some(field) => {
                    let why = format!("names another {field} than AWSCURRENT, and was not tried");
                    (Said::Unknown, why)
                }
            },
            Value::None => (Said::Rejected, "has no value yet".to_owned()),
            Value::Invalid(error) => (Said::Unknown, error.to_string()),
            Value::Binary => (Said::Unknown, "holds SecretBinary".to_owned()),
            Value::Unread(error) => (Said::Unknown, error.to_string()),
        })
    }

    async fn verify(&self, document: &Document) -> (Said, String) {
        match self.engine.log_in(document).await {
            Ok(Login::Accepted(())) => (Said::LogsIn, String::new()),
            Ok(Login::Rejected) => (Said::Rejected, String::new()),
            Err(error) => (Said::Unknown, error.to_string()),
        }
    }

    async fn master(&self) -> Verdict {
        let secret = self.document.administrator().unwrap_or_default();
        let master = match administrator::read(self.client, secret, self.document).await {
            Ok(master) => master,
            Err(verdict) => return verdict,
        };
        match self.engine.listed(self.document, &master).await {
            Ok(Some(keys)) => Verdict::ok(format!("the service lists {keys} keys to its holder")),
            Ok(None) => Verdict::ok(
                "it is there; without \"list\" only a rotation shows whether it is good",
            ),
            Err(error) => Verdict::wrong(error.to_string(), Cure::default()),
        }
    }
}

fn verdict(said: Said, why: &str, good: &str, not_good: &str) -> Verdict {
    match said {
        Said::LogsIn => Verdict::ok(good),
        Said::Rejected => Verdict::ok(not_good),
        Said::Unknown => Verdict::warning(why, Cure::default()),
    }
}
