//! Reads the values of one secret, or of up to 20: GetSecretValue, BatchGetSecretValue.

use chrono::{DateTime, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    access::authorize_read,
    error::ServiceError,
    filter::{Filter, page},
    secret::{Epoch, Secret, SecretValue, State, View},
    wire::{answer, parse},
};
use crate::iam::Role;

/// The most secrets in a BatchGetSecretValue (docs).
const BATCH: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGetSecretValue {
    secret_id_list: Option<Vec<String>>,
    filters: Option<Vec<Filter>>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ValueAnswer {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    version_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_string: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_binary: Option<String>,
    version_stages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date: Option<Epoch>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchAnswer {
    secret_values: Vec<ValueAnswer>,
    errors: Vec<BatchError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchError {
    secret_id: String,
    error_code: String,
    message: String,
}

pub(super) fn get_secret_value(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
    view: View,
) -> Result<Value, ServiceError> {
    let request: GetSecretValue = parse(input)?;
    let (id, stage) = (
        request.version_id.as_deref(),
        request.version_stage.as_deref(),
    );
    if !matches!(view, View::Now) {
        return answer(value_of(state.seen(&request.secret_id, view)?, id, stage)?);
    }
    let secret = state.find_mut(&request.secret_id)?;
    let value = value_of(secret, id, stage)?;
    mark_access(secret, &value.version_id, now);
    answer(value)
}

pub(super) fn batch_get_secret_value(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
    caller: Option<&Role>,
) -> Result<Value, ServiceError> {
    let request: BatchGetSecretValue = parse(input)?;
    let (ids, next_token) = match (request.secret_id_list, request.filters) {
        (Some(_), Some(_)) | (None, None) => {
            return Err(ServiceError::parameter(
                "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
            ));
        }
        (Some(_), None) if request.max_results.is_some() => {
            return Err(ServiceError::parameter(
                "To use MaxResults, you must also use Filters.",
            ));
        }
        (Some(ids), None) => (ids, None),
        (None, Some(filters)) => {
            let matching = state
                .secrets
                .iter()
                .filter(|secret| secret.deleted.is_none());
            let matching =
                matching.filter(|secret| filters.iter().all(|filter| filter.matches(secret)));
            let arns = matching.map(|secret| secret.arn.clone()).collect();
            page(
                arns,
                request.max_results,
                BATCH,
                request.next_token.as_deref(),
            )?
        }
    };

    let mut batch = BatchAnswer {
        secret_values: Vec::new(),
        errors: Vec::new(),
        next_token,
    };
    for secret_id in ids {
        let value = state.find(&secret_id).and_then(|secret| {
            if let Some(caller) = caller {
                authorize_read(caller, &state.region, secret)?;
            }
            value_of(secret, None, None)
        });
        match value {
            Ok(value) => {
                mark_access(state.find_mut(&secret_id)?, &value.version_id, now);
                batch.secret_values.push(value);
            }
            Err(ServiceError {
                code: error_code,
                message,
                ..
            }) => {
                batch.errors.push(BatchError {
                    secret_id,
                    error_code,
                    message,
                });
            }
        }
    }
    answer(batch)
}

fn value_of(
    secret: &Secret,
    id: Option<&str>,
    stage: Option<&str>,
) -> Result<ValueAnswer, ServiceError> {
    if secret.deleted.is_some() {
        return Err(ServiceError::marked_for_deletion());
    }
    let (id, value) = secret
        .versions
        .read(id, stage)
        .map_err(|error| ServiceError::labels(error, &secret.arn))?;
    let (secret_string, secret_binary) = match value.clone() {
        SecretValue::String(text) => (Some(text), None),
        SecretValue::Binary(base64) => (None, Some(base64)),
    };
    Ok(ValueAnswer {
        arn: secret.arn.clone(),
        name: secret.name.clone(),
        version_id: id.to_owned(),
        secret_string,
        secret_binary,
        version_stages: secret.versions.labels(id),
        created_date: secret.dates.get(id).map(|dates| Epoch(dates.created)),
    })
}

/// The service keeps the day of the last access, not the time.
fn mark_access(secret: &mut Secret, version: &str, now: DateTime<Utc>) {
    let day = now.with_time(NaiveTime::MIN).single();
    secret.accessed = day;
    if let Some(dates) = secret.dates.get_mut(version) {
        dates.accessed = day;
    }
}
