//! Lists, page by page: ListSecrets with its filters, and ListSecretVersionIds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    describe::{Description, list_entry},
    error::ServiceError,
    filter::{Filter, page},
    secret::{Epoch, Secret, State, View},
    wire::{answer, parse},
};

/// Entries on a page if the request sets no lower number (docs: 1 to 100).
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListSecrets {
    #[serde(default)]
    include_planned_deletion: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    filters: Vec<Filter>,
    sort_order: Option<String>,
    sort_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListSecretVersionIds {
    secret_id: String,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(default)]
    include_deprecated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SecretsPage {
    secret_list: Vec<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionsPage {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    versions: Vec<VersionEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionEntry {
    version_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    version_stages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Epoch>,
    kms_key_ids: Vec<String>,
}

pub(super) fn list_secrets(state: &State, input: Value, view: View) -> Result<Value, ServiceError> {
    let request: ListSecrets = parse(input)?;
    let shown = |secret: &&Secret| {
        (request.include_planned_deletion || secret.deleted.is_none())
            && request.filters.iter().all(|filter| filter.matches(secret))
    };
    let seen = |secret| state.seen_by(secret, view);
    let secrets = state.secrets.iter().filter_map(seen);
    let mut secrets: Vec<&Secret> = secrets.filter(shown).collect();
    match request.sort_by.as_deref() {
        None | Some("created-date") => {} // the stored order
        Some("name") => secrets.sort_by(|a, b| a.name.cmp(&b.name)),
        Some("last-changed-date") => secrets.sort_by_key(|secret| secret.changed),
        Some(_) => secrets.sort_by_key(|secret| secret.accessed),
    }
    // the default order is undocumented
    if request.sort_order.as_deref() == Some("desc") {
        secrets.reverse();
    }
    let (secrets, next_token) = page(
        secrets,
        request.max_results,
        PAGE,
        request.next_token.as_deref(),
    )?;
    answer(SecretsPage {
        secret_list: secrets.into_iter().map(list_entry).collect(),
        next_token,
    })
}

pub(super) fn list_secret_version_ids(state: &State, input: Value) -> Result<Value, ServiceError> {
    let request: ListSecretVersionIds = parse(input)?;
    let secret = state.find(&request.secret_id)?;
    let entry = |id: &str| VersionEntry {
        version_id: id.to_owned(),
        version_stages: secret.versions.labels(id),
        created_date: secret.dates.get(id).map(|dates| Epoch(dates.created)),
        last_accessed_date: secret
            .dates
            .get(id)
            .and_then(|dates| dates.accessed)
            .map(Epoch),
        kms_key_ids: vec![
            secret
                .kms_key_id
                .clone()
                .unwrap_or_else(|| "DefaultEncryptionKey".to_owned()),
        ],
    };
    let versions = secret.versions.ids().map(entry);
    let versions = versions
        .filter(|entry| request.include_deprecated || !entry.version_stages.is_empty())
        .collect();
    let (versions, next_token) = page(
        versions,
        request.max_results,
        PAGE,
        request.next_token.as_deref(),
    )?;
    answer(VersionsPage {
        arn: secret.arn.clone(),
        name: secret.name.clone(),
        versions,
        next_token,
    })
}
