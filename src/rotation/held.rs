//! Which keys the secret's versions hold, for a service that makes them itself.
//!
//! A key that no version holds belongs to nobody and is deleted. So the key of every labelled version must be known, including
//! labels that people made. A version that cannot be read may hold any key.

use std::{collections::BTreeMap, time::SystemTime};

use super::{
    Rotation, document, fits,
    versions::{self, Standing},
};
use crate::{
    document::{Document, Overlap},
    engine::{Engine, Known},
    error::Error,
    event::RotationEvent,
    store::{SecretStore, Version, Versions, Which},
};

/// The documents of the labelled versions, by version id; `None` for one that cannot be read.
#[derive(Debug)]
struct Held(BTreeMap<String, Option<Document>>);

impl Held {
    /// The key of AWSPREVIOUS, according to the labels.
    fn into_previous(mut self, versions: &Versions) -> Option<Document> {
        let id = versions::labelled(versions, Which::Previous)?;
        self.0.remove(id)?
    }

    /// The ids of all keys, if all are known.
    fn ids(&self) -> Option<Vec<String>> {
        let id = |document: &Option<Document>| Some(document.as_ref()?.username().to_owned());
        self.0.values().map(id).collect()
    }

    /// Whether another label than AWSPREVIOUS holds that version's key too, or may hold it.
    fn pins_previous(&self, versions: &Versions) -> bool {
        let Some(id) = versions::labelled(versions, Which::Previous) else {
            return false;
        };
        let key = |document: &Option<Document>| Some(document.as_ref()?.username().to_owned());
        let previous = self.0.get(id).and_then(key);
        let labels = versions.labels.get(id).map_or(0, Vec::len);
        let mut others = self.0.iter().filter(|(other, _)| *other != id);
        labels > 1 || others.any(|(_, other)| other.is_none() || key(other) == previous)
    }
}

impl<S: SecretStore, T: Engine> Rotation<'_, S, T> {
    /// What the versions hold according to these labels, with `version` as AWSCURRENT; `None` if the token is now AWSCURRENT.
    pub(super) async fn known(
        &self,
        event: &RotationEvent,
        version: &Version,
        current: &Document,
        versions: &Versions,
    ) -> Result<Option<Known>, Error> {
        if let Standing::Current = versions::standing(versions, &event.token)? {
            return Ok(None);
        }
        versions::up_to_date(versions, Which::Current, &version.id)?;
        let which = Which::Pending(&event.token);
        let (stored, previous) = tokio::join!(
            self.store.read(&event.secret, which),
            self.store.read(&event.secret, Which::Previous),
        );
        let (stored, previous) = (stored?, previous?);
        let master = current.administrator().unwrap_or_default();
        let administrator = self.administrator(master, current).await?;
        let read = [Some(version), previous.as_ref(), stored.as_ref()];
        let held = self.held(event, current, versions, &read).await;
        let stored = match &stored {
            None => None,
            Some(stored) => Some(fits(current, document::<T>(stored, which)?, which)?),
        };
        let since = versions.rotated.max(version.created);
        let overlaps = overlaps(self.overlap(current), since, self.now);
        Ok(Some(Known {
            administrator,
            stored,
            held: held.ids(),
            overlaps: overlaps || held.pins_previous(versions),
            // another version, written by hand, has the same key: it is in use
            previous: held
                .into_previous(versions)
                .filter(|previous| previous.username() != current.username()),
        }))
    }

    /// Takes the versions that are already read by their ids, and reads the others: in a usual rotation there are none.
    async fn held(
        &self,
        event: &RotationEvent,
        current: &Document,
        versions: &Versions,
        read: &[Option<&Version>],
    ) -> Held {
        let mut held = BTreeMap::new();
        for (id, labels) in &versions.labels {
            let known = read.iter().flatten().find(|version| version.id == *id);
            let document = match known {
                Some(version) => current.about(&version.document),
                // the token's own version has no value; otherwise it would be among the known versions
                None if labels.is_empty() || *id == event.token => continue,
                None => {
                    let version = self.store.read(&event.secret, Which::Version(id)).await;
                    let version = version.ok().flatten();
                    version.and_then(|version| current.about(&version.document))
                }
            };
            if document.is_none() {
                tracing::warn!(
                    version = id,
                    ?labels,
                    "this version's key cannot be read: no key is deleted as left over"
                );
            }
            held.insert(id.clone(), document);
        }
        Held(held)
    }
}

/// Whether clients may still use the credential that was replaced at `since`. Without an end they may until the next rotation.
fn overlaps(overlap: Overlap, since: Option<SystemTime>, now: SystemTime) -> bool {
    match (overlap, since) {
        // an end that the clock cannot represent never comes
        (Overlap::Bounded(window), Some(since)) => {
            since.checked_add(window).is_none_or(|end| end > now)
        }
        (Overlap::Bounded(_), None) | (Overlap::Unbounded, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_overlap_lasts_from_the_replacement_until_its_window_is_over() {
        let since = SystemTime::UNIX_EPOCH;
        let window = Overlap::Bounded(Duration::from_secs(60));
        for (overlap, since, seconds, open) in [
            (window, Some(since), 59, true),
            (window, Some(since), 60, false),
            (window, None, 0, false),
            (Overlap::Unbounded, Some(since), 1, false),
            (Overlap::Bounded(Duration::MAX), Some(since), 1, true),
        ] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(
                overlaps(overlap, since, now),
                open,
                "{overlap:?}, {seconds}"
            );
        }
    }

    fn held(keys: &[(&str, Option<&str>)]) -> Held {
        let document = |user: &str| {
            let text = format!(r#"{{"host":"db","username":"{user}","password":"x"}}"#);
            Document::parse(&text.into()).unwrap()
        };
        let keys = keys.iter();
        Held(
            keys.map(|(id, key)| ((*id).to_owned(), key.map(document)))
                .collect(),
        )
    }

    fn versions(labels: &[(&str, &[&str])]) -> Versions {
        let owned = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
        let labels = labels.iter();
        Versions {
            labels: labels.map(|(id, l)| ((*id).to_owned(), owned(l))).collect(),
            ..Versions::default()
        }
    }

    #[test]
    fn the_key_of_awsprevious_is_pinned_if_another_label_has_it_or_may_have_it() {
        let one: &[&str] = &["AWSPREVIOUS"];
        for (what, labels, other, pinned) in [
            ("another key", one, Some("k2"), false),
            ("the same key", one, Some("k1"), true),
            ("a key that cannot be read", one, None, true),
            ("its own label", &["AWSPREVIOUS", "mine"], Some("k2"), true),
        ] {
            let held = held(&[("a", Some("k1")), ("b", other)]);
            let versions = versions(&[("a", labels), ("b", &["AWSCURRENT"])]);
            assert_eq!(held.pins_previous(&versions), pinned, "{what}");
        }
        let none = versions(&[("b", &["AWSCURRENT"])]);
        assert!(!held(&[("b", None)]).pins_previous(&none));
    }

    #[test]
    fn the_keys_are_known_only_if_every_version_can_be_read() {
        let all = held(&[("a", Some("k1")), ("b", Some("k2"))]);
        assert_eq!(all.ids(), Some(vec!["k1".to_owned(), "k2".to_owned()]));
        assert_eq!(held(&[("a", Some("k1")), ("b", None)]).ids(), None);
    }
}
