//! Reads from Secrets Manager: the list, each resource policy, and the state of replicas.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client,
    types::{SecretListEntry, StatusType},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::{
    AuditArguments,
    judge::{self, Kind, Rules},
    readers,
};
use crate::{
    aws::{Error, Place, explain},
    pace::AT_ONCE,
    secrets,
};

/// The findings, and what could not be read.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The number of examined secrets.
    pub(super) secrets: usize,
    /// Most urgent first.
    pub(super) findings: Vec<Finding>,
    /// What could not be read, and what to do about it.
    pub(super) notes: Vec<String>,
}

/// One finding.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Finding {
    pub(super) finding: Kind,
    pub(super) secret: String,
    pub(super) arn: String,
    pub(super) detail: String,
}

pub(super) async fn gather(
    configuration: &SdkConfig,
    arguments: &AuditArguments,
) -> Result<Report, Error> {
    let client = Client::new(configuration);
    let mut listed = secrets::every(&client, &arguments.tag, Some).await?;
    secrets::check_named(&client, &arguments.name, &listed)?;
    listed.retain(|secret| secrets::is_named(&arguments.name, secret));
    let region = configuration.region().map(ToString::to_string);
    let rules = Rules {
        unread_for: arguments.unread_for,
        name_patterns: &arguments.name_pattern,
        region: &region.unwrap_or_default(),
        now: SystemTime::now(),
    };
    let looks = listed.iter().map(|secret| look(&client, secret, &rules));
    let looked: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let (mut findings, mut notes) = (Vec::new(), Notes::default());
    for (secret, (found, unknown)) in listed.iter().zip(looked) {
        for text in unknown {
            notes.add(secret, text);
        }
        let found = found
            .into_iter()
            .filter(|(kind, _)| !arguments.ignore.contains(kind));
        findings.extend(found.map(|(finding, detail)| Finding {
            finding,
            secret: secret.name().unwrap_or_default().to_owned(),
            arn: secret.arn().unwrap_or_default().to_owned(),
            detail,
        }));
    }
    findings.sort();
    Ok(Report {
        secrets: listed.len(),
        findings,
        notes: notes.texts(),
    })
}

/// Each reason once, with the number of its secrets. The service's text names the secret: the comparison ignores name and ARN.
#[derive(Default)]
struct Notes(Vec<Note>);

struct Note {
    reason: String,
    text: String,
    secrets: usize,
}

impl Notes {
    fn add(&mut self, secret: &SecretListEntry, text: String) {
        let mut reason = text.clone();
        for own in [secret.arn(), secret.name()].into_iter().flatten() {
            reason = reason.replace(own, "");
        }
        match self.0.iter_mut().find(|note| note.reason == reason) {
            Some(note) => note.secrets += 1,
            None => self.0.push(Note {
                reason,
                text,
                secrets: 1,
            }),
        }
    }

    fn texts(self) -> Vec<String> {
        let text = |note: Note| match note.secrets {
            1 => note.text,
            secrets => format!("For {secrets} secrets: {}", note.text),
        };
        self.0.into_iter().map(text).collect()
    }
}

/// The findings of one secret. Adds a note for what cannot be read.
async fn look(
    client: &Client,
    secret: &SecretListEntry,
    rules: &Rules<'_>,
) -> (Vec<(Kind, String)>, Vec<String>) {
    let (mut found, mut unknown) = (judge::judge(secret, rules), Vec::new());
    let arn = secret.arn().unwrap_or_default();
    let policy = client.get_resource_policy().secret_id(arn).send().await;
    match policy.map_err(|error| explain("secretsmanager:GetResourcePolicy", error)) {
        Ok(answer) => {
            let account = Place::of(arn);
            let account = account.as_ref().map_or("", Place::account);
            match readers::found(answer.resource_policy(), account) {
                Ok(readers) => found.extend(readers),
                Err(error) => unknown.push(unreadable(secret, &error)),
            }
        }
        Err(error) => unknown.push(error.to_string()),
    }
    // the list shows that there are replicas, but not their state
    if secret.primary_region() == Some(rules.region) {
        let described = client.describe_secret().secret_id(arn).send().await;
        match described.map_err(|error| explain("secretsmanager:DescribeSecret", error)) {
            Ok(described) => {
                for replica in described.replication_status() {
                    let (region, status) = (replica.region().unwrap_or_default(), replica.status());
                    let why = replica.status_message().unwrap_or("no reason is given");
                    if status == Some(&StatusType::Failed) {
                        found.push((Kind::ReplicaOutOfStep, format!("{region}: {why}")));
                    }
                }
            }
            Err(error) => unknown.push(error.to_string()),
        }
    }
    (found, unknown)
}

fn unreadable(secret: &SecretListEntry, error: &serde_json::Error) -> String {
    let name = secret.name().unwrap_or_default();
    format!(
        "the resource policy of {name} cannot be read ({error}): see who may read the secret with \
         aws secretsmanager get-resource-policy --secret-id {name}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_the_service_repeats_for_each_secret_is_reported_once() {
        let mut notes = Notes::default();
        let denied = |on: &str| format!("denied (not authorized on resource: {on})");
        for name in ["orders/db", "stock/db", "users/db"] {
            let arn = format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf");
            let secret = SecretListEntry::builder().name(name).arn(&arn).build();
            notes.add(&secret, denied(&arn));
            notes.add(&secret, format!("the policy of {name} cannot be read"));
        }
        let first = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf";
        let expected = [
            format!("For 3 secrets: {}", denied(first)),
            "For 3 secrets: the policy of orders/db cannot be read".to_owned(),
        ];
        assert_eq!(notes.texts(), expected);
    }
}
