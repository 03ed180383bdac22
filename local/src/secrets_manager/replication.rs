//! Replicas in other regions: ReplicateSecretToRegions, RemoveRegionsFromReplication, StopReplicationToReplica.
//!
//! [`regions`](super::regions) describes when a replica appears and disappears, and its contents.
//!
//! | rule | source |
//! |---|---|
//! | An operation that changes a secret is refused on a replica, with this text | recorded by practitioners |
//! | The primary's own region cannot have a replica | recorded |
//! | A region with a replica may be named again, with another key or after a failure | chosen here |
//! | A region without a replica may be removed | moto |
//! | StopReplicationToReplica is called in the replica's region. It makes the replica a secret of its own | docs |
//! | For any other secret it is refused | chosen here, also the text |

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    describe::ReplicationStatus,
    error::ServiceError,
    regions::Regions,
    secret::{Replica, ReplicaStatus, Secret, State},
    wire::{answer, parse},
};

/// Operations that work on a replica. All others need the primary.
const ON_REPLICAS: [&str; 7] = [
    "DescribeSecret",
    "GetResourcePolicy",
    "GetSecretValue",
    "ListSecretVersionIds",
    "StopReplicationToReplica",
    "ValidateResourcePolicy",
    // its SecretIds are a list
    "BatchGetSecretValue",
];

/// A region in which a request creates a replica.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplicaRegion {
    region: String,
    kms_key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReplicateSecretToRegions {
    secret_id: String,
    add_replica_regions: Vec<ReplicaRegion>,
    #[serde(default)]
    force_overwrite_replica_secret: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RemoveRegionsFromReplication {
    secret_id: String,
    remove_replica_regions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StopReplicationToReplica {
    secret_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Replicated {
    #[serde(rename = "ARN")]
    arn: String,
    replication_status: Vec<ReplicationStatus>,
}

impl Replicated {
    fn new(secret: &Secret) -> Self {
        Self {
            arn: secret.arn.clone(),
            replication_status: ReplicationStatus::of(secret),
        }
    }
}

/// Refuses an operation that would change a replica.
pub(super) fn refuse_on_replicas(
    state: &State,
    operation: &str,
    input: &Value,
) -> Result<(), ServiceError> {
    let id = input.get("SecretId").and_then(Value::as_str);
    let secret = id.and_then(|id| state.find(id).ok());
    let is_replica = secret.is_some_and(|secret| secret.primary.is_some());
    if is_replica && !ON_REPLICAS.contains(&operation) {
        return Err(ServiceError::parameter(
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
        ));
    }
    Ok(())
}

/// Gives a secret these replicas. An existing one in the same region is requested again.
pub(super) fn replicate(
    secret: &mut Secret,
    regions: Vec<ReplicaRegion>,
    overwrites: bool,
    now: DateTime<Utc>,
) -> Result<(), ServiceError> {
    for ReplicaRegion { region, kms_key_id } in regions {
        if region == secret.region() {
            return Err(ServiceError::parameter("Invalid replica region."));
        }
        secret.replicas.retain(|replica| replica.region != region);
        secret.replicas.push(Replica {
            region,
            kms_key_id: kms_key_id.filter(|key| !key.is_empty()),
            overwrites,
            requested: now,
            status: ReplicaStatus::InProgress,
        });
    }
    Ok(())
}

pub(super) fn replicate_secret_to_regions(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: ReplicateSecretToRegions = parse(input)?;
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        let (regions, overwrites) = (
            request.add_replica_regions,
            request.force_overwrite_replica_secret,
        );
        replicate(secret, regions, overwrites, now)?;
        answer(Replicated::new(secret))
    })
}

pub(super) fn remove_regions_from_replication(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: RemoveRegionsFromReplication = parse(input)?;
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        let goes = |replica: &Replica| request.remove_replica_regions.contains(&replica.region);
        secret.replicas.retain(|replica| !goes(replica));
        answer(Replicated::new(secret))
    })
}

pub(super) fn stop_replication_to_replica(
    regions: &mut Regions,
    region: &str,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: StopReplicationToReplica = parse(input)?;
    let state = regions.at(region);
    let (arn, primary) = state.change(&request.secret_id, now, |secret| {
        let primary = secret.primary.take().ok_or_else(|| {
            ServiceError::parameter(
                "The secret is not a replica. Call must be made in the replica's region.",
            )
        })?;
        Ok((secret.arn.clone(), primary.arn))
    })?;
    // no error if the primary was deleted: so a stranded replica becomes a secret of its own
    let _ = regions.of(&primary).change(&primary, now, |secret| {
        secret.replicas.retain(|replica| replica.region != region);
        Ok(())
    });
    Ok(json!({ "ARN": arn }))
}
