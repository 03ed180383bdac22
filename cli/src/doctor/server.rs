//! The database server in AWSCURRENT, from its address to the administrator's rights.

use std::time::SystemTime;

use aws_sdk_secretsmanager::Client;
use secret_rotation::{
    document::Document,
    engine::postgres::{Postgres, Roots, Session},
    settings::Administrators,
};

use super::{
    administrator,
    certificate::{self, Trust},
    finding::Finding,
    labels::Labels,
    logins::{self, Known},
    network,
    pending::{Logins, labels},
    versions::{Answer, Said, Value, Versions, log_in, unlabelled},
};
use crate::shell::Shell;

/// What the checks of the server need.
pub(super) struct Server<'a> {
    pub(super) client: &'a Client,
    pub(super) postgres: &'a Postgres<'a>,
    pub(super) roots: &'a Roots,
    pub(super) trust: Trust,
    pub(super) document: &'a Document,
    /// The secrets that the function accepts as an administrator's.
    pub(super) listed: &'a Administrators,
    pub(super) secret_arn: &'a str,
    pub(super) shell: &'a Shell,
}

impl Server<'_> {
    /// The checks that need the server, in order.
    pub(super) const CHECKS: [&'static str; 8] = [
        "name",
        "connection",
        "certificate",
        "AWSCURRENT",
        "AWSPREVIOUS",
        "hashing",
        "administrator",
        "roles",
    ];

    pub(super) async fn examine(
        &self,
        versions: &Versions,
        placed: &Labels<'_>,
        now: SystemTime,
    ) -> Vec<Finding> {
        let mut findings = self.way(now).await;
        if findings.iter().any(Finding::blocks) {
            let why = "the server cannot be reached";
            findings.extend(Finding::skipped(&Self::CHECKS[findings.len()..], why));
            let verdict = labels(placed, Logins::UNKNOWN, self.shell, now);
            findings.push(Finding::new("labels", verdict));
            return findings;
        }
        let answers = self.log_in(versions).await;
        let known = self.what_is_known(&answers).await;
        let in_flight = placed.in_flight(now);
        findings.extend(self.logins(versions, &answers, in_flight, &known));
        let verdict = labels(placed, answers.said(), self.shell, now);
        findings.push(Finding::new("labels", verdict));
        let proven = answers.proven();
        findings.push(Finding::new("hashing", logins::hashing(proven).await));
        let (client, postgres) = (self.client, self.postgres);
        let [rights, roles] = administrator::obstacles(
            client,
            postgres,
            proven,
            self.document,
            self.listed,
            self.shell,
        )
        .await;
        findings.push(Finding::new("administrator", rights));
        findings.push(Finding::new("roles", roles));
        findings
    }

    /// Name, connection, certificate, until one fails: each needs the one before.
    async fn way(&self, now: SystemTime) -> Vec<Finding> {
        let name = network::name(self.document, self.shell).await;
        let mut findings = vec![Finding::new("name", name)];
        if !findings[0].blocks() {
            let connection = network::connection(self.document, self.shell).await;
            findings.push(Finding::new("connection", connection));
        }
        if !findings.iter().any(Finding::blocks) {
            let trust = self.trust;
            let certificate = certificate::examine(self.document, self.roots, trust, now).await;
            findings.push(Finding::new("certificate", certificate));
        }
        findings
    }

    async fn log_in(&self, versions: &Versions) -> Answers {
        let other = async |value: &Option<Value>| {
            Some(value.as_ref()?.log_in(self.postgres, self.document).await)
        };
        Answers {
            current: log_in(self.postgres, self.document).await,
            pending: other(&versions.pending).await,
            previous: other(&versions.previous).await,
        }
    }

    /// What the other versions and the catalogs show about a rejected AWSCURRENT.
    async fn what_is_known(&self, answers: &Answers) -> Known {
        let Answer::Rejected = answers.current else {
            return Known::default();
        };
        let user = self.document.username();
        match answers.proven() {
            Some(proven) => Known {
                why: self
                    .postgres
                    .why_rejected(proven, user)
                    .await
                    .ok()
                    .flatten(),
                unlabelled: None,
            },
            None => Known {
                why: None,
                unlabelled: unlabelled(self.client, self.secret_arn, self.postgres, self.document)
                    .await,
            },
        }
    }

    fn logins(
        &self,
        versions: &Versions,
        answers: &Answers,
        in_flight: bool,
        known: &Known,
    ) -> Vec<Finding> {
        let said = answers.said();
        let (document, arn) = (self.document, self.secret_arn);
        let current = &answers.current;
        let current = logins::current(document, current, said, in_flight, known, arn, self.shell);
        let mut findings = vec![Finding::new("AWSCURRENT", current)];
        if let Some(answer) = &answers.pending {
            findings.push(Finding::new("AWSPENDING", logins::pending(answer)));
        }
        if let (Some(value), Some(answer)) = (&versions.previous, &answers.previous) {
            let previous = logins::previous(document, value, answer);
            findings.push(Finding::new("AWSPREVIOUS", previous));
        }
        findings
    }
}

struct Answers {
    current: Answer,
    pending: Option<Answer>,
    previous: Option<Answer>,
}

impl Answers {
    fn said(&self) -> Logins {
        let said = |answer: &Option<Answer>| answer.as_ref().map_or(Said::Rejected, Answer::said);
        Logins {
            current: self.current.said(),
            pending: said(&self.pending),
            previous: said(&self.previous),
        }
    }

    /// A session of any version that logs in.
    fn proven(&self) -> Option<&Session> {
        let others = [&self.pending, &self.previous];
        let answers = [Some(&self.current)]
            .into_iter()
            .chain(others.map(Option::as_ref));
        answers.flatten().find_map(Answer::session)
    }
}
