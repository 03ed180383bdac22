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
    readers::{self, readers},
};
use crate::{
    aws::{Error, Place, explain},
    pace::{AT_ONCE, Pace},
    secrets,
};

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// How many secrets were examined.
    pub(super) secrets: usize,
    /// The most urgent first.
    pub(super) findings: Vec<Finding>,
    /// What could not be found out, and what to do about it.
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
    let pace = Pace::of_secrets_manager();
    let looks = listed
        .iter()
        .map(|secret| look(&client, &pace, secret, &rules));
    let looked: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    for (secret, (found, unknown)) in listed.iter().zip(looked) {
        // the same reason for many secrets is shown once
        for error in unknown.into_iter().map(|error| error.to_string()) {
            if !notes.contains(&error) {
                notes.push(error);
            }
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
        notes,
    })
}

/// The findings of one secret, and what could not be found out.
async fn look(
    client: &Client,
    pace: &Pace,
    secret: &SecretListEntry,
    rules: &Rules<'_>,
) -> (Vec<(Kind, String)>, Vec<Error>) {
    let (mut found, mut unknown) = (judge::judge(secret, rules), Vec::new());
    let arn = secret.arn().unwrap_or_default();
    pace.turn().await;
    let policy = client.get_resource_policy().secret_id(arn).send().await;
    match policy.map_err(|error| explain("secretsmanager:GetResourcePolicy", error)) {
        Ok(answer) => {
            let policy = answer.resource_policy().unwrap_or_default();
            let policy = serde_json::from_str(policy).unwrap_or_default();
            let account = Place::of(arn);
            let account = account.as_ref().map_or("", Place::account);
            let readers = readers(&policy);
            found.extend(
                readers
                    .iter()
                    .filter_map(|reader| readers::judge(reader, account)),
            );
        }
        Err(error) => unknown.push(error),
    }
    // the list shows that replicas exist, but not their state
    if secret.primary_region() == Some(rules.region) {
        pace.turn().await;
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
            Err(error) => unknown.push(error),
        }
    }
    (found, unknown)
}
