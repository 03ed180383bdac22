//! A read that is one atomic load.

use std::{fmt, ops::Deref, sync::Arc};

use arc_swap::{ArcSwap, Cache};

use crate::{
    credential::Credential,
    error::Error,
    secret::RotatingSecret,
    slot::{Shared, Slot},
};

impl RotatingSecret {
    /// A handle for one reader who reads all the time: one atomic load a read.
    pub fn reader(&self) -> Reader {
        Reader {
            cache: Cache::new(InShared(self.shared.clone())),
            secret: self.clone(),
        }
    }
}

/// A handle for one reader, whose read is one atomic load and nothing else.
///
/// [`RotatingSecret::current`](crate::RotatingSecret::current) leaves word of what it reads while the guard lives, which
/// costs two locked instructions. A reader keeps what it last read instead, and looks whether that is still in force. So
/// it is for a loop or a worker that reads all the time: one that reads no more keeps a replaced credential in memory
/// until it is dropped.
///
/// ```
/// # use rotating_secret::{Error, RotatingSecret};
/// # fn requests() -> std::ops::Range<u8> { 0..9 }
/// # fn example(secret: &RotatingSecret) -> Result<(), Error> {
/// let mut reader = secret.reader();
/// for request in requests() {
///     let user = reader.current()?.user();
/// }
/// # Ok(()) }
/// ```
pub struct Reader {
    cache: Cache<InShared, Arc<Slot>>,
    /// It is a handle like the others: the secret is renewed as long as one lives.
    secret: RotatingSecret,
}

struct InShared(Arc<Shared>);

impl Deref for InShared {
    type Target = ArcSwap<Slot>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.0.slot
    }
}

impl Reader {
    /// The credential in force.
    ///
    /// # Errors
    ///
    /// As for [`RotatingSecret::current`](crate::RotatingSecret::current).
    #[inline(always)]
    pub fn current(&mut self) -> Result<&Credential, Error> {
        let slot = self.cache.load();
        match &slot.unusable {
            None => Ok(&slot.credential),
            Some(error) => Err(error.clone()),
        }
    }

    /// The secret that it reads.
    pub fn secret(&self) -> &RotatingSecret {
        &self.secret
    }
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        self.secret.reader()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}
