//! What an environment remembers from one step to the next, to spare a call.
//!
//! The labels do not tell finishSecret whether there is an old user to bound, where, and by whom. The steps before
//! it have read the document that does. An environment that served them keeps it, without its password; one
//! that did not reads it once more. Nothing depends on it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::document::Document;

/// The version that the last rotation seen here replaces.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Option<(String, Replaced)>>);

/// A version that is replaced.
#[derive(Clone, Debug)]
pub(super) struct Replaced {
    pub(super) document: Arc<Document>,
    /// When it was stored, by the service's clock.
    pub(super) stored: Option<SystemTime>,
}

impl Memory {
    /// Keeps what the rotation to `token` replaces.
    pub(super) fn keep(&self, token: &str, document: &Document, stored: Option<SystemTime>) {
        let document = Arc::new(document.with_password("".into()));
        *self.lock() = Some((token.to_owned(), Replaced { document, stored }));
    }

    pub(super) fn replaced_by(&self, token: &str) -> Option<Replaced> {
        self.lock()
            .as_ref()
            .filter(|(kept, _)| kept == token)
            .map(|(_, replaced)| replaced.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(String, Replaced)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
