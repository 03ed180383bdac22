//! What an environment remembers from one step to the next, to spare a call.
//!
//! The labels do not show finishSecret whether an old user's password must end, on which server, and by which administrator.
//! The steps before it have read the document that does. An environment that ran them keeps it, without its password; another
//! environment reads it once more. Nothing depends on this memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
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
        self.of(event, |seen| seen.replaced = Some(replaced));
    }

    /// Keeps that the new version logs in.
    pub(super) fn keep_login(&self, event: &RotationEvent) {
        self.of(event, |seen| seen.logged_in = true);
    }

    pub(super) fn replaced_by(&self, event: &RotationEvent) -> Option<Replaced> {
        self.of(event, |seen| seen.replaced.clone())
    }

    pub(super) fn has_logged_in(&self, event: &RotationEvent) -> bool {
        self.of(event, |seen| seen.logged_in)
    }

    /// Makes this rotation the newest one, and forgets the oldest one if there are too many.
    fn of<R>(&self, event: &RotationEvent, see: impl FnOnce(&mut Seen) -> R) -> R {
        let key = key(event);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(other, _)| *other == key);
        let mut seen = found
            .and_then(|found| kept.remove(found))
            .map_or_else(Seen::default, |(_, seen)| seen);
        let result = see(&mut seen);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((key, seen));
        result
    }
}

fn key(event: &RotationEvent) -> Key {
    (event.secret.clone(), event.token.clone())
}
