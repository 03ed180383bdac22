//! Writes of values and labels: CreateSecret, PutSecretValue, UpdateSecret, UpdateSecretVersionStage.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    error::ServiceError,
    secret::{Replica, Secret, SecretValue, State, Tag},
    wire::{answer, parse},
};

/// Bytes of a value (docs).
const VALUE_LIMIT: usize = 65_536;

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
    add_replica_regions: Vec<Replica>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    version_stages: Option<Vec<String>>,
    rotation_token: Option<String>,
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

/// The answer of every operation that names a secret and perhaps a version.
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
}

impl Named {
    pub(super) fn new(secret: &Secret, version_id: Option<String>) -> Self {
        Self {
            arn: secret.arn.clone(),
            name: secret.name.clone(),
            version_id,
            version_stages: None,
        }
    }
}

pub(super) fn create_secret(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: CreateSecret = parse(input)?;
    check_name(&request.name)?;
    check_replicas(&request.add_replica_regions, &state.region)?;
    let token = token(request.client_request_token)?;
    let value = one_value(request.secret_string, request.secret_binary)?;

    if let Ok(present) = state.find(&request.name) {
        if present.deleted.is_some() {
            return Err(ServiceError::request(
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ));
        }
        let stored = present
            .versions
            .read(Some(&token), None)
            .ok()
            .map(|(_, stored)| stored);
        if stored.is_some() && stored == value.as_ref() {
            return answer(Named::new(present, Some(token))); // the same request once more
        }
        return Err(ServiceError::exists(format!(
            "The operation failed because the secret {} already exists.",
            request.name
        )));
    }

    let mut secret = Secret::new(request.name, &state.region, state.promotion, now);
    secret.description = request.description;
    secret.kms_key_id = request.kms_key_id;
    secret.tags = request.tags;
    secret.replicas = request.add_replica_regions;
    let mut version = None;
    if let Some(value) = value {
        secret.put(&token, value, None, now)?;
        version = Some(token);
    }
    let created = answer(Named::new(&secret, version));
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
    if request
        .rotation_token
        .is_some_and(|token| !(36..=256).contains(&token.len()))
    {
        return Err(ServiceError::validation(
            "1 validation error detected: Value at 'rotationToken' failed to satisfy constraint: Member must have length \
             between 36 and 256",
        ));
    }
    let Some(value) = one_value(request.secret_string, request.secret_binary)? else {
        return Err(ServiceError::parameter(
            "You must provide either SecretString or SecretBinary.",
        ));
    };
    let labels: Option<Vec<&str>> = request
        .version_stages
        .as_ref()
        .map(|labels| labels.iter().map(String::as_str).collect());
    if labels
        .as_ref()
        .is_some_and(|labels| !(1..=20).contains(&labels.len()))
    {
        return Err(ServiceError::validation(
            "1 validation error detected: Value at 'versionStages' failed to satisfy constraint: Member must have length \
             between 1 and 20",
        ));
    }
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
            secret.description = Some(description);
        }
        if let Some(key) = request.kms_key_id {
            secret.kms_key_id = Some(key).filter(|key| !key.is_empty()); // docs: empty means the service's own key
        }
        let Some(value) = value else {
            return answer(Named::new(secret, None));
        };
        if !secret.put(&token, value, None, now)? {
            // docs: unlike PutSecretValue, a token that is already a version is an error in any case
            return Err(ServiceError::labels(
                super::labels::LabelError::TokenInUse(token),
                &secret.arn,
            ));
        }
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

/// The request's token, or a new one.
///
/// The real service refuses a raw request without a token (recorded: `InvalidRequestException`); SDKs and the CLI fill it in.
/// Here it is made up, so that `curl` works.
pub(super) fn token(given: Option<String>) -> Result<String, ServiceError> {
    let token = given.unwrap_or_else(|| Uuid::new_v4().to_string());
    if (32..=64).contains(&token.len()) {
        Ok(token)
    } else {
        Err(ServiceError::parameter(
            "ClientRequestToken must be 32-64 characters long.",
        ))
    }
}

fn one_value(
    text: Option<String>,
    binary: Option<String>,
) -> Result<Option<SecretValue>, ServiceError> {
    let (field, bytes, value) = match (text, binary) {
        (Some(_), Some(_)) => {
            return Err(ServiceError::parameter(
                "You can't specify both a binary secret value and a string secret value.",
            ));
        }
        (Some(text), None) => ("secretString", text.len(), SecretValue::String(text)),
        // base64 makes four characters of three bytes
        (None, Some(base64)) => (
            "secretBinary",
            base64.trim_end_matches('=').len() * 3 / 4,
            SecretValue::Binary(base64),
        ),
        (None, None) => return Ok(None),
    };
    if (1..=VALUE_LIMIT).contains(&bytes) {
        return Ok(Some(value));
    }
    Err(ServiceError::validation(format!(
        "1 validation error detected: Value at '{field}' failed to satisfy constraint: Member must have length between 1 and \
         {VALUE_LIMIT}"
    )))
}

/// Other regions than the secret's own, each once. The words are ours.
fn check_replicas(replicas: &[Replica], own: &str) -> Result<(), ServiceError> {
    for (place, Replica { region, .. }) in replicas.iter().enumerate() {
        let before = &replicas[..place];
        if region == own || before.iter().any(|replica| replica.region == *region) {
            return Err(ServiceError::parameter(format!(
                "Invalid replica region: {region}."
            )));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-/_+=.@!".contains(c);
    if (1..=512).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(ServiceError::validation(
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    ))
}
