//! Filters and pages, for lists and batches.

use serde::Deserialize;

use super::{error::ServiceError, secret::Secret};

/// One filter. All filters of a request must match.
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

/// Returns one page, and the token of the next page: the position where it begins.
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
    /// Whether one of the values matches, and no value that starts with `!`.
    ///
    /// Docs: values are prefixes, case-sensitive. Recorded: for `description` and `all` they are beginnings of words, not case-sensitive.
    /// The combination of several negated values is undocumented: here each one excludes.
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
        match self {
            Self::Name => secret.name.starts_with(value),
            Self::Description => all_words(value, [description]),
            Self::TagKey => tags.iter().any(|tag| tag.key.starts_with(value)),
            Self::TagValue => tags.iter().any(|tag| tag.value.starts_with(value)),
            // moto: a secret in only one region has no primary region
            Self::PrimaryRegion => {
                secret.is_replicated() && secret.primary_region().starts_with(value)
            }
            Self::OwningService => false, // no other service creates secrets here
            Self::All => {
                let tags = tags
                    .iter()
                    .flat_map(|tag| [tag.key.as_str(), tag.value.as_str()]);
                all_words(value, tags.chain([secret.name.as_str(), description]))
            }
        }
    }
}

/// Whether each word of the value is the beginning of a word in the texts, not case-sensitive. A value without words matches nothing
/// (recorded).
fn all_words<'a>(value: &str, texts: impl IntoIterator<Item = &'a str>) -> bool {
    let wanted = words(value);
    let there: Vec<String> = texts.into_iter().flat_map(words).collect();
    let begins = |wanted: &String| there.iter().any(|word| word.starts_with(wanted));
    !wanted.is_empty() && wanted.iter().all(begins)
}

/// The words of a text, in lower case (recorded).
///
/// A special character ends a word. A text with two kinds of special characters is one word. A word also ends before a character
/// that is not lower-case and is followed by a lower-case letter: `demo-OrdersAPI` has `demo`, `orders` and `api`.
fn words(text: &str) -> Vec<String> {
    const SPECIAL: &str = "/-_+=.@";
    let mut kinds: Vec<char> = text.chars().filter(|c| SPECIAL.contains(*c)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 1 {
        return vec![text.to_lowercase()];
    }
    let mut words = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let begins_a_word = !character.is_ascii_lowercase()
            && characters.peek().is_some_and(char::is_ascii_lowercase);
        if begins_a_word || character == ' ' || kinds.contains(&character) {
            words.push(String::new());
        }
        if let Some(word) = words
            .last_mut()
            .filter(|_| character != ' ' && !kinds.contains(&character))
        {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_as_in_the_service() {
        for (text, expected) in [
            ("my test", &["my", "test"][..]),
            ("MyTestPhrase", &["my", "test", "phrase"]),
            ("prod_AppBeta_1a", &["prod", "app", "beta", "1a"]),
            ("prod-AppBeta/1a", &["prod-appbeta/1a"]),
            ("uat/COMPANY/x", &["uat", "company", "x"]),
            ("uat/COMPANYthings", &["uat", "compan", "ythings"]),
            ("+", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
