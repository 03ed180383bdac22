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
    /// A handle for one frequent reader: one atomic load a read.
    pub fn reader(&self) -> Reader {
        Reader {
            cache: Cache::new(InShared(self.shared.clone())),
            secret: self.clone(),
        }
    }
}

/// A handle for one reader. Its read is one atomic load and nothing else.
///
/// [`RotatingSecret::current`](crate::RotatingSecret::current) announces its read while the guard lives, which costs two locked
/// instructions. A reader keeps what it read last instead, and checks whether that is still current. So it is for a loop or a
/// worker that reads all the time: a reader that stops reading keeps a replaced credential in memory until it is dropped.
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
    /// A handle like the others: the secret is renewed as long as one of them lives.
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
    /// The current credential.
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
