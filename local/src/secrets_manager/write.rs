//! Writes values and labels: CreateSecret, PutSecretValue, UpdateSecret, UpdateSecretVersionStage.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    describe::ReplicationStatus,
    error::ServiceError,
    labels::LabelError,
    replication::{ReplicaRegion, replicate},
    secret::{Secret, SecretValue, State, Tag},
    wire::{answer, parse},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateSecret {
    name: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    add_replica_regions: Vec<ReplicaRegion>,
    #[serde(default)]
    force_overwrite_replica_secret: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    version_stages: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateSecretVersionStage {
    secret_id: String,
    version_stage: String,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

/// The answer of the operations that return a secret's name and perhaps a version.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stages: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replication_status: Vec<ReplicationStatus>,
}

impl Named {
    pub(super) fn new(secret: &Secret, version_id: Option<String>) -> Self {
        Self {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            version_id,
            version_stages: None,
            replication_status: Vec::new(),
        }
    }
}

pub(super) fn create_secret(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: CreateSecret = parse(input)?;
    let token = token(request.client_request_token)?;
    let value = one_value(request.secret_string, request.secret_binary)?;

    if let Ok(present) = state.find(&request.name) {
        if present.deleted.is_some() {
            return Err(ServiceError::request(
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ));
        }
        return match present.versions.read(Some(&token), None) {
            Ok((_, stored)) if value.as_ref() == Some(stored) => {
                answer(Named::new(present, Some(token))) // the same request was repeated
            }
            Ok(_) => Err(ServiceError::labels(
                LabelError::TokenInUse(token),
                &present.arn,
            )),
            Err(_) => Err(ServiceError::exists(format!(
                "The operation failed because the secret {} already exists.",
                request.name
            ))),
        };
    }

    let mut secret = Secret::new(request.name, &state.region, state.promotion, now);
    secret.description = request.description.and_then(some);
    secret.kms_key_id = request.kms_key_id.and_then(some);
    secret.tags = request.tags;
    replicate(
        &mut secret,
        request.add_replica_regions,
        request.force_overwrite_replica_secret,
        now,
    )?;
    let mut version = None;
    if let Some(value) = value {
        secret.put(&token, value, None, now)?;
        version = Some(token);
    }
    let created = answer(Named {
        replication_status: ReplicationStatus::of(&secret),
        ..Named::new(&secret, version)
    });
    state.secrets.push(secret);
    created
}

pub(super) fn put_secret_value(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: PutSecretValue = parse(input)?;
    let token = token(request.client_request_token)?;
    let Some(value) = one_value(request.secret_string, request.secret_binary)? else {
        // recorded: the type; the text is the API reference's
        return Err(ServiceError::request(
            "You must provide either SecretString or SecretBinary.",
        ));
    };
    let labels: Option<Vec<&str>> = request
        .version_stages
        .as_ref()
        .map(|labels| labels.iter().map(String::as_str).collect());
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        secret.put(&token, value, labels.as_deref(), now)?;
        let version_stages = Some(secret.versions.labels(&token));
        answer(Named {
            version_stages,
            ..Named::new(secret, Some(token))
        })
    })
}

pub(super) fn update_secret(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: UpdateSecret = parse(input)?;
    let token = token(request.client_request_token)?;
    let value = one_value(request.secret_string, request.secret_binary)?;
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        if let Some(description) = request.description {
            secret.description = some(description);
        }
        if let Some(key) = request.kms_key_id {
            secret.kms_key_id = some(key); // docs: empty means the service's own key
        }
        let Some(value) = value else {
            return answer(Named::new(secret, None));
        };
        // recorded, against the API reference: the same token with the same value is no error
        secret.put(&token, value, None, now)?;
        answer(Named::new(secret, Some(token)))
    })
}

pub(super) fn update_secret_version_stage(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: UpdateSecretVersionStage = parse(input)?;
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        let (to, from) = (
            request.move_to_version_id.as_deref(),
            request.remove_from_version_id.as_deref(),
        );
        let moved = secret.versions.move_label(&request.version_stage, to, from);
        moved.map_err(|error| ServiceError::labels(error, &secret.arn))?;
        answer(Named::new(secret, None))
    })
}

/// The request's token. SDKs and the CLI fill it in; a raw request without one is refused (recorded).
pub(super) fn token(given: Option<String>) -> Result<String, ServiceError> {
    let Some(token) = given else {
        return Err(ServiceError::request(
            "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
        ));
    };
    if (32..=64).contains(&token.len()) {
        Ok(token)
    } else {
        Err(ServiceError::parameter(
            "ClientRequestToken must be 32-64 characters long.",
        ))
    }
}

/// Turns an empty text into none (recorded for the description).
fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn one_value(
    text: Option<String>,
    binary: Option<String>,
) -> Result<Option<SecretValue>, ServiceError> {
    match (text, binary) {
        (Some(_), Some(_)) => Err(ServiceError::parameter(
            "You can't specify both a binary secret value and a string secret value.",
        )),
        (Some(text), None) => Ok(Some(SecretValue::String(text))),
        (None, Some(base64)) => Ok(Some(SecretValue::Binary(base64))),
        (None, None) => Ok(None),
    }
}
