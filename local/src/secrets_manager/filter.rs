//! What lists and batches share: filters, and pages.

use serde::Deserialize;

use super::{error::ServiceError, secret::Secret};

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

/// One page, and the token of the next; a token is the place where that one begins.
pub(super) fn page<T>(
    entries: Vec<T>,
    max_results: Option<usize>,
    most: usize,
    next_token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), ServiceError> {
    let size = max_results.unwrap_or(most);
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
    pub(super) fn matches(&self, secret: &Secret) -> bool {
        let mut wanted = self
            .values
            .iter()
            .filter(|value| !value.starts_with('!'))
            .peekable();
        let mut unwanted = self
            .values
            .iter()
            .filter_map(|value| value.strip_prefix('!'));
        (wanted.peek().is_none() || wanted.any(|value| self.key.matches(secret, value)))
            && !unwanted.any(|value| self.key.matches(secret, value))
    }
}

impl FilterKey {
    fn matches(self, secret: &Secret, value: &str) -> bool {
        let tags = secret.tags.as_deref().unwrap_or_default();
        let description = secret.description.as_deref().unwrap_or_default();
        let begins = |text: &str| text.to_lowercase().starts_with(&value.to_lowercase());
        match self {
            Self::Name => secret.name.starts_with(value),
            Self::Description => begins(description),
            Self::TagKey => tags.iter().any(|tag| tag.key.starts_with(value)),
            Self::TagValue => tags.iter().any(|tag| tag.value.starts_with(value)),
            // moto; what is in one region has no such member
            Self::PrimaryRegion => {
                secret.is_replicated() && secret.primary_region().starts_with(value)
            }
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
