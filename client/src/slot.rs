//! The credential in force: read without a lock, replaced as a whole.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::{ArcSwap, Guard};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{credential::Credential, error::Error};

/// What handles and the task that renews share.
pub(crate) struct Shared {
    pub(crate) id: Arc<str>,
    pub(crate) slot: ArcSwap<Slot>,
    /// Reading takes no lock; replacing does, so that nothing is replaced that was not looked at.
    replacing: Mutex<Option<Invalidated>>,
    /// It closes when nobody renews the secret any more.
    changes: watch::Receiver<Change>,
    /// Somebody says that there is a new version.
    pub(crate) pushed: Notify,
}

/// What a read sees.
pub(crate) struct Slot {
    pub(crate) credential: Credential,
    /// Why it may not be used. Then the credential is empty but for its version.
    pub(crate) unusable: Option<Error>,
}

/// What somebody dropped last.
struct Invalidated {
    version: Arc<str>,
    at: Instant,
}

/// The version in force, and since when, if it was not the first.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: Arc<str>,
    #[cfg_attr(
        not(any(feature = "deadpool", feature = "sqlx")),
        expect(
            dead_code,
            reason = "pools that don't know a connection's version look at its age"
        )
    )]
    pub(crate) at: Option<Instant>,
}

impl Shared {
    /// With the end that tells of changes.
    pub(crate) fn new(id: Arc<str>, first: Credential) -> (Self, watch::Sender<Change>) {
        let (tell, changes) = watch::channel(Change {
            version: first.version_id().clone(),
            at: None,
        });
        let shared = Self {
            id,
            slot: ArcSwap::from_pointee(Slot {
                credential: first,
                unusable: None,
            }),
            replacing: Mutex::new(None),
            changes,
            pushed: Notify::new(),
        };
        (shared, tell)
    }

    /// What changes from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<Change> {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        changes
    }

    /// The hit path. Out of line, it would cost half as much again: the answer would be written to memory and read back.
    #[inline(always)]
    pub(crate) fn current(&self) -> Result<CredentialGuard, Error> {
        let slot = self.slot.load();
        match &slot.unusable {
            None => Ok(CredentialGuard { slot }),
            Some(error) => Err(error.clone()),
        }
    }

    /// The version that was last in force, usable or not.
    pub(crate) fn last(&self) -> Arc<Slot> {
        self.slot.load_full()
    }

    /// Puts a credential in force, and tells whether it is another version than before.
    ///
    /// None if this version was invalidated after the provider was asked for it: what it says is older than that.
    pub(crate) fn install(&self, credential: Credential) -> Option<bool> {
        let invalidated = self.replacing();
        let version = credential.version_id().clone();
        if let Some(invalidated) = &*invalidated
            && invalidated.version == version
            && invalidated.at > credential.fetched()
        {
            return None;
        }
        let changed = self.slot.load().credential.version_id() != &version;
        self.slot.store(Arc::new(Slot {
            credential,
            unusable: None,
        }));
        Some(changed)
    }

    /// Takes this version out of force, and keeps it out until the provider, asked anew, has it still.
    pub(crate) fn invalidate(&self, version: &str) {
        let mut invalidated = self.replacing();
        *invalidated = Some(Invalidated {
            version: version.into(),
            at: Instant::now(),
        });
        if self.slot.load().credential.version() == version {
            self.empty(|held| Error::Invalidated {
                secret: self.id.clone(),
                version: held.version_id().clone(),
            });
        }
    }

    /// Takes whatever is in force out of it.
    pub(crate) fn withdraw(&self, why: impl FnOnce(&Credential) -> Error) {
        let _replacing = self.replacing();
        self.empty(why);
    }

    /// What is secret goes, the version's id stays.
    fn empty(&self, why: impl FnOnce(&Credential) -> Error) {
        let slot = self.slot.load();
        if slot.is_usable() {
            self.slot.store(Arc::new(Slot {
                unusable: Some(why(&slot.credential)),
                credential: slot.credential.emptied(),
            }));
        }
    }

    fn replacing(&self) -> MutexGuard<'_, Option<Invalidated>> {
        self.replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.unusable.is_none()
    }
}

/// The credential that was in force when it was read.
///
/// It stays as it is however long it is held; hold it for as long as it takes to log in.
pub struct CredentialGuard {
    slot: Guard<Arc<Slot>>,
}

impl CredentialGuard {
    pub(crate) fn of(slot: Arc<Slot>) -> Self {
        Self {
            slot: Guard::from_inner(slot),
        }
    }
}

impl Deref for CredentialGuard {
    type Target = Credential;

    fn deref(&self) -> &Credential {
        &self.slot.credential
    }
}

impl fmt::Debug for CredentialGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.credential.fmt(f)
    }
}
