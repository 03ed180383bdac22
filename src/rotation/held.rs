//! Which keys the secret's versions hold.
//!
//! A key that no version holds is nobody's, and goes. So it has to be known of every version that has a label, of a label that
//! people have made too, and a version that cannot be read may hold any of them.

use std::collections::BTreeMap;

use super::{Rotation, versions};
use crate::{
    document::Document,
    engine::Engine,
    event::RotationEvent,
    store::{SecretStore, Version, Versions, Which},
};

/// The documents of the versions with a label, by version; none for one that cannot be read.
#[derive(Debug)]
pub(super) struct Held(BTreeMap<String, Option<Document>>);

impl Held {
    /// The key of AWSPREVIOUS, as the labels have it.
    pub(super) fn previous(&self, versions: &Versions) -> Option<&Document> {
        let id = versions::labelled(versions, Which::Previous)?;
        self.0.get(id)?.as_ref()
    }

    /// The ids of all keys, if all are known.
    pub(super) fn ids(&self) -> Option<Vec<String>> {
        let id = |document: &Option<Document>| Some(document.as_ref()?.username().to_owned());
        self.0.values().map(id).collect()
    }

    /// Whether another label than AWSPREVIOUS holds that version's key too, or may.
    pub(super) fn pins_previous(&self, versions: &Versions) -> bool {
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
    /// Takes what was read already by the versions' ids, and reads the others: in a usual rotation there are none.
    pub(super) async fn held(
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
                // the token's own version has no value, or the read of it would be among the known
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
                    "no key can be read of this version: none is deleted as left over"
                );
            }
            held.insert(id.clone(), document);
        }
        Held(held)
    }
}
