//! Lists, page by page: ListSecrets with its filters, and ListSecretVersionIds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::ServiceError,
    read::{Description, list_entry},
    secret::{Epoch, Secret, State},
    wire::{answer, parse},
};

/// Entries on a page unless the request says less (docs: 1 to 100).
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

/// One filter; a request's filters must all match.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filter {
    key: FilterKey,
    values: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FilterKey {
    Name,
    Description,
    TagKey,
    TagValue,
    PrimaryRegion,
    OwningService,
    All,
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

pub(super) fn list_secrets(state: &State, input: Value) -> Result<Value, ServiceError> {
    let request: ListSecrets = parse(input)?;
    let shown = |secret: &&Secret| {
        (request.include_planned_deletion || secret.deleted.is_none())
            && request
                .filters
                .iter()
                .all(|filter| filter.matches(secret, &state.region))
    };
    let mut secrets: Vec<&Secret> = state.secrets.iter().filter(shown).collect();
    match request.sort_by.as_deref() {
        None | Some("created-date") => {} // the order in which they are kept
        Some("name") => secrets.sort_by(|a, b| a.name.cmp(&b.name)),
        Some("last-changed-date") => secrets.sort_by_key(|secret| secret.changed),
        Some("last-accessed-date") => secrets.sort_by_key(|secret| secret.accessed),
        Some(other) => return Err(ServiceError::parameter(format!("Invalid SortBy: {other}."))),
    }
    match request.sort_order.as_deref() {
        None | Some("asc") => {} // the default order is undocumented
        Some("desc") => secrets.reverse(),
        Some(other) => {
            return Err(ServiceError::parameter(format!(
                "Invalid SortOrder: {other}."
            )));
        }
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

/// One page, and the token of the next; a token is the place where that one begins.
pub(super) fn page<T>(
    entries: Vec<T>,
    max_results: Option<usize>,
    most: usize,
    next_token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let size = max_results.unwrap_or(most);
    if !(1..=most).contains(&size) {
        return Err(ServiceError::validation(format!(
            "1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: Member must have value \
             between 1 and {most}"
        )));
    }
    let start = match next_token {
        None => 0,
        Some(token) => usize::from_str_radix(token, 16).map_err(|_| ServiceError::next_token())?,
    };
    let end = start.saturating_add(size);
    let next = (end < entries.len()).then(|| format!("{end:016x}"));
    Ok((entries.into_iter().skip(start).take(size).collect(), next))
}

impl Filter {
    /// Whether one of the values matches and none of those with `!` in front does.
    ///
    /// Docs: prefixes; the case counts for all keys but `description` and `all`. How several negated values go together is
    /// undocumented: here each of them excludes.
    pub(super) fn matches(&self, secret: &Secret, region: &str) -> bool {
        let mut wanted = self
            .values
            .iter()
            .filter(|value| !value.starts_with('!'))
            .peekable();
        let mut unwanted = self
            .values
            .iter()
            .filter_map(|value| value.strip_prefix('!'));
        (wanted.peek().is_none() || wanted.any(|value| self.key.matches(secret, region, value)))
            && !unwanted.any(|value| self.key.matches(secret, region, value))
    }
}

impl FilterKey {
    fn matches(self, secret: &Secret, region: &str, value: &str) -> bool {
        let tags = secret.tags.as_deref().unwrap_or_default();
        let description = secret.description.as_deref().unwrap_or_default();
        let begins = |text: &str| text.to_lowercase().starts_with(&value.to_lowercase());
        match self {
            Self::Name => secret.name.starts_with(value),
            Self::Description => begins(description),
            Self::TagKey => tags.iter().any(|tag| tag.key.starts_with(value)),
            Self::TagValue => tags.iter().any(|tag| tag.value.starts_with(value)),
            Self::PrimaryRegion => region.starts_with(value),
            Self::OwningService => false, // no other service creates secrets here
            Self::All => {
                let tags = tags
                    .iter()
                    .flat_map(|tag| [tag.key.as_str(), tag.value.as_str()]);
                let attributes: Vec<String> = tags
                    .chain([secret.name.as_str(), description])
                    .map(str::to_lowercase)
                    .collect();
                let found = |word: &str| {
                    attributes
                        .iter()
                        .any(|attribute| attribute.contains(&word.to_lowercase()))
                };
                value.split_whitespace().all(found)
            }
        }
    }
}
