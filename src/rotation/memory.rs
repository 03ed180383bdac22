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
