//! A secret's metadata: DescribeSecret, and an entry of ListSecrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::ServiceError,
    schedule::RotationRules,
    secret::{Epoch, Replica, ReplicaStatus, Secret, State, Tag, View},
    wire::{answer, parse},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeSecret {
    secret_id: String,
}

/// A secret's metadata. Only the name of the labels' field differs between DescribeSecret and ListSecrets.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Description {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_enabled: Option<bool>,
    #[serde(rename = "RotationLambdaARN", skip_serializing_if = "Option::is_none")]
    rotation_lambda_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_rules: Option<RotationRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotated_date: Option<Epoch>,
    last_changed_date: Epoch,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_ids_to_stages: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
    created_date: Epoch,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<Vec<ReplicationStatus>>,
}

/// A region with a replica.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplicationStatus {
    region: String,
    kms_key_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
}

impl ReplicationStatus {
    /// One for each replica.
    pub(super) fn of(secret: &Secret) -> Vec<Self> {
        let of = |replica: &Replica| {
            let key = replica.kms_key_id.as_deref();
            let (status, status_message) = match &replica.status {
                ReplicaStatus::InProgress => ("InProgress", None),
                // moto's message
                ReplicaStatus::InSync => ("InSync", Some("Replication succeeded".to_owned())),
                ReplicaStatus::Failed(why) => ("Failed", Some(why.clone())),
            };
            Self {
                region: replica.region.clone(),
                kms_key_id: key.unwrap_or("alias/aws/secretsmanager").to_owned(),
                status,
                status_message,
            }
        };
        secret.replicas.iter().map(of).collect()
    }
}

pub(super) fn describe_secret(
    state: &State,
    input: Value,
    view: View,
) -> Result<Value, ServiceError> {
    let request: DescribeSecret = parse(input)?;
    let secret = state.seen(&request.secret_id, view)?;
    let stages = secret.versions.stages();
    let version_ids_to_stages = (!stages.is_empty()).then_some(stages);
    answer(Description {
        version_ids_to_stages,
        replication_status: Some(ReplicationStatus::of(secret))
            .filter(|replicas| !replicas.is_empty()),
        ..describe(secret)
    })
}

/// Everything except the labels: their field has another name in each answer.
pub(super) fn describe(secret: &Secret) -> Description {
    // docs: with rotation off both dates are null, but the function and the rules stay
    let enabled = secret.rotation_enabled == Some(true);
    let next = secret
        .rotation_rules
        .as_ref()
        .and_then(|rules| rules.next_rotation(secret.schedule_base));
    Description {
        arn: secret.arn.clone(),
        name: secret.name.clone(),
        description: secret.description.clone(),
        kms_key_id: secret.kms_key_id.clone(),
        rotation_enabled: secret.rotation_enabled,
        rotation_lambda_arn: secret.rotation_function.clone(),
        rotation_rules: secret.rotation_rules.clone(),
        last_rotated_date: secret.rotated.filter(|_| enabled).map(Epoch),
        last_changed_date: Epoch(secret.changed),
        last_accessed_date: secret.accessed.map(Epoch),
        deleted_date: secret.deleted.map(Epoch),
        next_rotation_date: next.filter(|_| enabled).map(Epoch),
        tags: secret.tags.clone(),
        version_ids_to_stages: None,
        secret_versions_to_stages: None,
        created_date: Epoch(secret.created),
        primary_region: secret
            .is_replicated()
            .then(|| secret.primary_region().to_owned()),
        replication_status: None,
    }
}

/// The same for an entry of a list.
pub(super) fn list_entry(secret: &Secret) -> Description {
    let stages = secret.versions.stages();
    Description {
        secret_versions_to_stages: (!stages.is_empty()).then_some(stages),
        ..describe(secret)
    }
}
