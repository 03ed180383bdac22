//! What an environment remembers from one step to the next, to spare a call.
//!
//! The labels do not tell finishSecret whether there is an old user to bound, where, and by whom. The steps before
//! it have read the document that does. An environment that served them keeps it, without its password; one
//! that did not reads it once more. Nothing depends on it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::document::Document;

/// The document that the last rotation seen here replaces.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Option<(String, Arc<Document>)>>);

impl Memory {
    /// Keeps what the rotation to `token` replaces.
    pub(super) fn keep(&self, token: &str, replaced: &Document) {
        let replaced = Arc::new(replaced.with_password("".into()));
        *self.lock() = Some((token.to_owned(), replaced));
    }

    pub(super) fn replaced_by(&self, token: &str) -> Option<Arc<Document>> {
        self.lock()
            .as_ref()
            .filter(|(kept, _)| kept == token)
            .map(|(_, replaced)| Arc::clone(replaced))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(String, Arc<Document>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
