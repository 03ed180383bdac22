//! A lock whose holder may have panicked: its value is consistent after every statement.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
