//! What an environment remembers from one step to the next, to spare a call.
//!
//! The labels do not show finishSecret whether an old user's password must end, on which server, and by which administrator.
//! The steps before it have read the document that does. An environment that ran them keeps it, without its password; another
//! environment reads it once more. Nothing depends on this memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use crate::{document::Document, event::RotationEvent};

/// The last rotations seen here, the newest last.
#[derive(Debug, Default)]
pub struct Memory(Mutex<VecDeque<(Key, Seen)>>);

/// What this environment has seen of a rotation.
#[derive(Debug, Default)]
struct Seen {
    replaced: Option<Replaced>,
    logged_in: bool,
}

/// A secret, and the token of one of its rotations. The caller of RotateSecret chooses the token, so two secrets may have the
/// same one.
type Key = (String, String);

/// How many rotations one environment remembers.
const KEPT: usize = 32;

/// A replaced version.
#[derive(Clone, Debug)]
pub(super) struct Replaced {
    pub(super) document: Arc<Document>,
    /// When it was stored, by the service's clock.
    pub(super) stored: Option<SystemTime>,
    /// Whether its user, or its key, must end: it is not the successor's.
    pub(super) ends: bool,
}

impl Memory {
    /// Keeps what the rotation replaces, after a check that the new version fits.
    pub(super) fn keep(
        &self,
        event: &RotationEvent,
        document: &Document,
        stored: Option<SystemTime>,
    ) {
        let replaced = Replaced {
            document: Arc::new(document.with_password("".into())),
            stored,
            ends: document.takes_turns(),
        };
        self.change(event, |seen| seen.replaced = Some(replaced));
    }

    /// Keeps that the new version logs in.
    pub(super) fn keep_login(&self, event: &RotationEvent) {
        self.change(event, |seen| seen.logged_in = true);
    }

    pub(super) fn replaced_by(&self, event: &RotationEvent) -> Option<Replaced> {
        self.find(event, |seen| seen.replaced.clone()).flatten()
    }

    pub(super) fn has_logged_in(&self, event: &RotationEvent) -> bool {
        self.find(event, |seen| seen.logged_in).unwrap_or_default()
    }

    fn find<R>(&self, event: &RotationEvent, read: impl FnOnce(&Seen) -> R) -> Option<R> {
        let key = key(event);
        let kept = self.lock();
        let found = kept.iter().find(|(other, _)| *other == key);
        found.map(|(_, seen)| read(seen))
    }

    /// Changes what is kept of this rotation, which becomes the newest one.
    fn change(&self, event: &RotationEvent, change: impl FnOnce(&mut Seen)) {
        let key = key(event);
        let mut kept = self.lock();
        let found = kept.iter().position(|(other, _)| *other == key);
        let found = found.and_then(|found| kept.remove(found));
        let mut seen = found.map(|(_, seen)| seen).unwrap_or_default();
        change(&mut seen);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((key, seen));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Key, Seen)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(event: &RotationEvent) -> Key {
    (event.secret.clone(), event.token.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Step;

    fn event(secret: &str, token: usize) -> RotationEvent {
        RotationEvent {
            step: Step::Create,
            secret: secret.to_owned(),
            token: token.to_string(),
            rotation_token: None,
        }
    }

    fn document(user: &str) -> Document {
        let text = format!(r#"{{"host":"db","username":"{user}","password":"s3cret"}}"#);
        Document::parse(&text.into()).unwrap()
    }

    fn user(memory: &Memory, event: &RotationEvent) -> Option<String> {
        let replaced = memory.replaced_by(event)?;
        Some(replaced.document.username().to_owned())
    }

    #[test]
    fn each_rotation_has_its_own_memory_even_if_two_secrets_have_the_same_token() {
        let memory = Memory::default();
        let (one, two) = (event("one", 1), event("two", 1));
        memory.keep(&one, &document("app"), None);
        memory.keep_login(&one);
        memory.keep(&two, &document("other"), None);
        assert_eq!(user(&memory, &one).as_deref(), Some("app"));
        assert_eq!(user(&memory, &two).as_deref(), Some("other"));
        assert_eq!(user(&memory, &event("one", 2)), None);
        assert!(memory.has_logged_in(&one));
        assert!(!memory.has_logged_in(&two));
    }

    #[test]
    fn a_document_is_kept_without_its_password() {
        use secrecy::ExposeSecret;
        let (memory, event) = (Memory::default(), event("one", 1));
        memory.keep(&event, &document("app"), None);
        let kept = memory.replaced_by(&event).unwrap().document;
        assert_eq!(kept.password().expose_secret(), "");
    }

    #[test]
    fn the_rotation_that_was_not_seen_for_longest_is_forgotten_first() {
        let memory = Memory::default();
        for token in 0..KEPT {
            memory.keep_login(&event("one", token));
        }
        memory.keep(&event("one", 0), &document("app"), None);
        memory.keep_login(&event("one", KEPT));
        assert!(memory.has_logged_in(&event("one", 0)));
        assert!(!memory.has_logged_in(&event("one", 1)));
        for token in 2..=KEPT {
            assert!(memory.has_logged_in(&event("one", token)), "{token}");
        }
    }
}
