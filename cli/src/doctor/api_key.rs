//! An API key: there is no database to examine, only the service's answers.

use std::time::SystemTime;

use aws_sdk_secretsmanager::Client;
use secret_rotation::{
    document::Document,
    engine::{Engine, Login, api_key::ApiKey},
    settings::Administrators,
};

use super::{
    administrator,
    finding::{Cure, Finding, Verdict},
    labels::Labels,
    pending::{Logins, labels},
    versions::{Said, Value, Versions},
};
use crate::shell::Shell;

/// What the checks of an API key need.
pub(super) struct Service<'a> {
    pub(super) client: &'a Client,
    pub(super) engine: ApiKey<'a>,
    pub(super) document: &'a Document,
    /// The secrets that the function accepts as master secrets.
    pub(super) listed: &'a Administrators,
    pub(super) shell: &'a Shell,
}

impl Service<'_> {
    pub(super) const CHECKS: [&'static str; 3] = ["AWSCURRENT", "AWSPREVIOUS", "master"];

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
        let pending_said = pending.as_ref().map_or(Said::Rejected, |(said, _)| *said);
        if let Some((said, why)) = pending {
            let verdict = why.unwrap_or_else(|| verdict(said, "is good", "is not good"));
            findings.push(Finding::new("AWSPENDING", verdict));
        }
        if let Some((said, why)) = self.other(versions.previous.as_ref()).await {
            let good =
                "is good until its overlap is over and the next rotation or revokeSecret ends it";
            let verdict = why.unwrap_or_else(|| verdict(said, good, "is no longer good"));
            findings.push(Finding::new("AWSPREVIOUS", verdict));
        }
        let logins = Logins {
            current,
            pending: pending_said,
            // a rotation needs no valid key: it makes the next key with the master secret
            previous: Said::LogsIn,
        };
        findings.push(Finding::new(
            "labels",
            labels(placed, logins, self.shell, now),
        ));
        findings.push(Finding::new("master", self.master().await));
        findings
    }

    fn current(&self, said: Said, why: Option<Verdict>) -> Verdict {
        let key = self.document.username();
        why.unwrap_or_else(|| match said {
            Said::LogsIn | Said::Unknown => {
                Verdict::ok(format!("{} accepts the key {key}", self.document.server()))
            }
            Said::Rejected => {
                let what = format!("{} rejects the key {key}", self.document.server());
                let advice = "rotate, which makes another key (if AWSPENDING is left over, see labels first):";
                let rotate = self.shell.secrets_manager("rotate-secret", &[]);
                Verdict::wrong(what, Cure::advice(advice).command(rotate))
            }
        })
    }

    /// The service's answer. If it gave none, the reason.
    async fn other(&self, value: Option<&Value>) -> Option<(Said, Option<Verdict>)> {
        let not_tried = |why: String| (Said::Unknown, Some(Verdict::warning(why, Cure::default())));
        Some(match value? {
            Value::Document(document) => match document.differs_from(self.document) {
                None => self.verify(document).await,
                Some(field) => not_tried(format!(
                    "names another {field} than AWSCURRENT, and was not tried"
                )),
            },
            Value::None => {
                let verdict = Verdict::ok("has no value yet");
                (Said::Rejected, Some(verdict))
            }
            Value::Invalid(error) => not_tried(error.to_string()),
            Value::Binary => not_tried("has SecretBinary".to_owned()),
            Value::Unread(error) => {
                let verdict = Verdict::unknown(error.to_string(), Cure::default());
                (Said::Unknown, Some(verdict))
            }
        })
    }

    async fn verify(&self, document: &Document) -> (Said, Option<Verdict>) {
        match self.engine.log_in(document).await {
            Ok(Login::Accepted(())) => (Said::LogsIn, None),
            Ok(Login::Rejected) => (Said::Rejected, None),
            Err(error) => (Said::Unknown, Some(Verdict::of(&error))),
        }
    }

    async fn master(&self) -> Verdict {
        let secret = self.document.administrator().unwrap_or_default();
        let master =
            match administrator::read(self.client, secret, self.document, self.listed).await {
                Ok(master) => master,
                Err(verdict) => return verdict,
            };
        match self.engine.listed(self.document, &master).await {
            Ok(Some(keys)) => Verdict::ok(format!("with it, the service lists {keys} keys")),
            Ok(None) => Verdict::ok(
                "it exists; without a \"list\" request only a rotation shows whether the service accepts it",
            ),
            Err(error) => Verdict::of(&error),
        }
    }
}

fn verdict(said: Said, good: &str, not_good: &str) -> Verdict {
    match said {
        Said::LogsIn | Said::Unknown => Verdict::ok(good),
        Said::Rejected => Verdict::ok(not_good),
    }
}
