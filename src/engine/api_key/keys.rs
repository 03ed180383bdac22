//! Which keys of a service are this secret's, and which of them nobody needs. Pure rules.

use sha2::{Digest, Sha256};

/// A key that the service lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: String,
    /// The name that it was made with.
    pub(super) label: String,
}

/// What a key is named that is made for this token of this secret; 42 characters, for services that keep no more.
pub(super) fn label(secret: &str, token: &str) -> String {
    format!("{}{}", of_secret(secret), digest(token))
}

/// The keys that were made for this token: at most one of them is stored.
pub(super) fn of_token<'a>(keys: &'a [Key], secret: &str, token: &str) -> Vec<&'a Key> {
    let label = label(secret, token);
    keys.iter().filter(|key| key.label == label).collect()
}

/// The keys that were made for other tokens of this secret and are neither the current one nor the previous one: what
/// rotations that came to nothing have left. In the order of the list.
pub(super) fn strays<'a>(
    keys: &'a [Key],
    secret: &str,
    token: &str,
    needed: &[&str],
) -> Vec<&'a Key> {
    let (prefix, own) = (of_secret(secret), label(secret, token));
    let is_stray = |key: &&Key| {
        key.label.starts_with(&prefix) && key.label != own && !needed.contains(&key.id.as_str())
    };
    keys.iter().filter(is_stray).collect()
}

fn of_secret(secret: &str) -> String {
    format!("rotation-{}-", digest(secret))
}

/// Whoever sees a service's keys learns neither a secret's name nor a token.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, label: String) -> Key {
        Key {
            id: id.to_owned(),
            label,
        }
    }

    #[test]
    fn a_stray_is_of_this_secret_and_of_another_token_and_neither_current_nor_previous() {
        let keys = [
            key("current", label("a", "1")),
            key("previous", label("a", "0")),
            key("abandoned", label("a", "x")),
            key("own", label("a", "2")),
            key("own, too", label("a", "2")),
            key("another secret's", label("b", "x")),
            key("made by hand", "reporting".to_owned()),
        ];
        let ids = |keys: Vec<&Key>| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
        assert_eq!(
            ids(strays(&keys, "a", "2", &["current", "previous"])),
            ["abandoned"]
        );
        assert_eq!(ids(of_token(&keys, "a", "2")), ["own", "own, too"]);
    }

    #[test]
    fn a_label_tells_neither_secret_nor_token_and_fits_where_names_are_short() {
        let label = label(
            "arn:aws:secretsmanager:eu-central-1:1:secret:orders",
            "t0ken",
        );
        assert_eq!(label.len(), 42);
        assert!(
            !label.contains("orders") && !label.contains("t0ken"),
            "{label}"
        );
    }
}
