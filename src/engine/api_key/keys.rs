//! Which keys of a service belong to this secret, and which of them are unused. Pure rules.

use sha2::{Digest, Sha256};

use crate::engine::{Known, Succession};

/// A key that is about to be made.
#[derive(Debug)]
pub(super) struct Minting<'a> {
    pub(super) succession: &'a Succession<'a>,
    pub(super) known: &'a Known,
    /// The keys that existed before `known` was read: only these may be deleted because no version holds them. `None` at the first
    /// look.
    pub(super) seen: Option<&'a [String]>,
}

/// A key that the service lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: String,
    /// The label that the service stored with it.
    pub(super) label: String,
}

/// The label of a key that is made for this token of this secret; 42 characters, for services that keep no more.
pub(super) fn label(secret: &str, token: &str) -> String {
    format!("{}{}", of_secret(secret), digest(token))
}

/// The keys that were made for this token: at most one of them is stored.
pub(super) fn of_token<'a>(keys: &'a [Key], secret: &str, token: &str) -> Vec<&'a Key> {
    let label = label(secret, token);
    keys.iter().filter(|key| key.label == label).collect()
}

/// Those of them that no labelled version holds; none, unless the keys of all versions are known.
pub(super) fn orphans<'a>(keys: &'a [Key], minting: &Minting<'_>) -> Vec<&'a Key> {
    let Succession { secret, token, .. } = minting.succession;
    let own = of_token(keys, secret, token);
    own.into_iter()
        .filter(|key| is_free(key, minting))
        .collect()
}

/// The keys that were made for other tokens of this secret and that no labelled version holds: the remains of failed rotations.
/// In the order of the list.
///
/// A list without the current key is out of date, or shows other ids than the versions hold. Then the result is empty.
pub(super) fn strays<'a>(keys: &'a [Key], minting: &Minting<'_>) -> Vec<&'a Key> {
    let Succession {
        secret,
        token,
        current,
        ..
    } = minting.succession;
    let (prefix, own) = (of_secret(secret), label(secret, token));
    let current = current.username();
    let is_shown = keys.iter().any(|key| key.id == current);
    let is_stray = |key: &&Key| {
        is_shown && key.label.starts_with(&prefix) && key.label != own && is_free(key, minting)
    };
    keys.iter().filter(is_stray).collect()
}

/// A version may by now hold a key that appeared after the versions were read.
fn is_free(key: &Key, minting: &Minting<'_>) -> bool {
    let held = minting.known.held.as_deref();
    held.is_some_and(|held| !held.contains(&key.id))
        && minting.seen.is_none_or(|seen| seen.contains(&key.id))
}

fn of_secret(secret: &str) -> String {
    format!("rotation-{}-", digest(secret))
}

/// Hides a secret's name and a token from everyone who sees the service's keys.
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
    use crate::document::{Document, Overlap};
    use serde_json::json;

    fn key(id: &str, label: String) -> Key {
        Key {
            id: id.to_owned(),
            label,
        }
    }

    fn document(id: &str) -> Document {
        let request = |url| json!({ "method": "POST", "url": url, "body": "{token}", "id": "/id", "key": "/key" });
        let url = "https://h.example/";
        let document = json!({
            "engine": "http-api-key", "masterarn": "m", "key_id": id, "key": "k", "create": request(url),
            "verify": { "method": "GET", "url": url }, "delete": { "method": "GET", "url": url },
        });
        Document::parse(&document.to_string().into()).unwrap()
    }

    #[test]
    fn a_stray_key_belongs_to_another_token_of_this_secret_and_no_labelled_version_holds_it() {
        let keys = [
            key("current", label("a", "1")),
            key("previous", label("a", "0")),
            key("abandoned", label("a", "x")),
            key("own", label("a", "2")),
            key("own, held", label("a", "2")),
            key("another secret's", label("b", "x")),
            key("made by hand", "reporting".to_owned()),
        ];
        let succession = |current| Succession {
            secret: "a",
            token: "2",
            current,
            password: "".into(),
            overlap: Overlap::Unbounded,
        };
        let known = |held: Option<&[&str]>| Known {
            administrator: document("master"),
            stored: None,
            previous: None,
            held: held.map(|held| held.iter().map(|id| (*id).to_owned()).collect()),
            overlaps: false,
        };
        let current = document("current");
        let (succeeds, held) = (
            &succession(&current),
            &known(Some(&["current", "previous", "own, held"])),
        );
        let minting = Minting {
            succession: succeeds,
            known: held,
            seen: None,
        };
        let ids = |keys: Vec<&Key>| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(strays(&keys, &minting)), ["abandoned"]);
        assert_eq!(ids(orphans(&keys, &minting)), ["own"]);
        assert_eq!(ids(of_token(&keys, "a", "2")), ["own", "own, held"]);

        let seen = ["abandoned".to_owned()];
        let later = Minting {
            seen: Some(&seen),
            ..minting
        };
        assert_eq!(ids(strays(&keys, &later)), ["abandoned"]);
        assert!(orphans(&keys, &later).is_empty());

        let unknown = Minting {
            known: &known(None),
            seen: None,
            ..minting
        };
        assert!(strays(&keys, &unknown).is_empty() && orphans(&keys, &unknown).is_empty());

        let unlisted = document("not in the list");
        let unlisted = Minting {
            succession: &succession(&unlisted),
            ..minting
        };
        assert!(strays(&keys, &unlisted).is_empty());
    }

    #[test]
    fn a_label_hides_secret_and_token_and_fits_where_names_are_short() {
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
