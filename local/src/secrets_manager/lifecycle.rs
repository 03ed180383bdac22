//! Tags, deletion and restoration: TagResource, UntagResource, DeleteSecret, RestoreSecret.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    error::ServiceError,
    secret::{Epoch, State, Tag, arn},
    wire::{answer, parse},
    write::Named,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagResource {
    secret_id: String,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UntagResource {
    secret_id: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteSecret {
    secret_id: String,
    recovery_window_in_days: Option<i64>,
    #[serde(default)]
    force_delete_without_recovery: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RestoreSecret {
    secret_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Deleted {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    deletion_date: Epoch,
}

pub(super) fn tag_resource(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: TagResource = parse(input)?;
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        let tags = secret.tags.get_or_insert_default();
        for tag in request.tags {
            tags.retain(|present| present.key != tag.key);
            tags.push(tag);
        }
        Ok(json!({}))
    })
}

pub(super) fn untag_resource(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: UntagResource = parse(input)?;
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        if let Some(tags) = &mut secret.tags {
            tags.retain(|tag| !request.tag_keys.contains(&tag.key));
        }
        Ok(json!({}))
    })
}

pub(super) fn delete_secret(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: DeleteSecret = parse(input)?;
    refuse_while_replicated(state, &request.secret_id)?;
    let days = match (
        request.force_delete_without_recovery,
        request.recovery_window_in_days,
    ) {
        (true, Some(_)) => {
            return Err(ServiceError::parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            ));
        }
        (true, None) => return force_delete(state, request.secret_id, now),
        (false, days) => days.unwrap_or(30),
    };
    if !(7..=30).contains(&days) {
        return Err(ServiceError::parameter(
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        ));
    }
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        let end = now + TimeDelta::days(days);
        secret.deleted = Some(end);
        answer(Deleted {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            deletion_date: Epoch(end),
        })
    })
}

/// Docs: the replicas must be removed first. Recorded: the text.
fn refuse_while_replicated(state: &State, id: &str) -> Result<(), ServiceError> {
    let Some(secret) = state
        .find(id)
        .ok()
        .filter(|secret| !secret.replicas.is_empty())
    else {
        return Ok(());
    };
    let regions: Vec<&str> = secret
        .replicas
        .iter()
        .map(|replica| replica.region.as_str())
        .collect();
    Err(ServiceError::parameter(format!(
        "You can't delete secret {} that still has replica regions [{}].",
        secret.arn,
        regions.join(", ")
    )))
}

/// Docs: deletes at once, even if the secret is already scheduled for deletion. It is no error if the secret does not exist.
fn force_delete(state: &mut State, id: String, now: DateTime<Utc>) -> Result<Value, ServiceError> {
    let found = state
        .find(&id)
        .ok()
        .map(|secret| (secret.arn.clone(), secret.name.clone()));
    let (arn, name) = found.unwrap_or_else(|| (arn(&state.region, &id), id));
    state.secrets.retain(|secret| secret.arn != arn);
    answer(Deleted {
        arn,
        name,
        deletion_date: Epoch(now),
    })
}

pub(super) fn restore_secret(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: RestoreSecret = parse(input)?;
    state.change(&request.secret_id, now, |secret| {
        secret.deleted = None;
        answer(Named::new(secret, None))
    })
}
