//! The credential in force: one atomic load to read, replaced as a whole.

#[cfg(any(feature = "deadpool", feature = "sqlx"))]
use std::time::Duration;
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

/// A login that began before a change may end after it, but not much later.
#[cfg(any(feature = "deadpool", feature = "sqlx"))]
pub(crate) const SETTLED: Duration = Duration::from_secs(1);

/// What handles and the task that renews share.
pub(crate) struct Shared {
    pub(crate) id: Arc<str>,
    slot: ArcSwap<Slot>,
    /// Reading takes no lock; replacing does, so that nothing is replaced that was not looked at.
    replacing: Mutex<Option<Invalidated>>,
    /// It closes when nobody renews the secret any more.
    changes: watch::Receiver<Change>,
    /// Somebody says that there is a new version.
    pub(crate) pushed: Notify,
}

/// What a read sees.
pub(crate) struct Slot {
    credential: Credential,
    /// Why it may not be used. Then the credential is empty but for its version.
    unusable: Option<Error>,
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
        expect(dead_code, reason = "pools ask for it")
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

impl Change {
    /// Whether a connection of this age belongs to a version before this one, and has to leave its pool.
    ///
    /// A pool knows when a connection was made, not with what. So those made within a second after the change are
    /// looked at once more when that second is over: one of them may have begun its login before.
    #[cfg(any(feature = "deadpool", feature = "sqlx"))]
    pub(crate) fn outdates(&self, age: Duration) -> bool {
        self.at.is_some_and(|at| {
            let since = at.elapsed();
            age > since || (since >= SETTLED && age > since - SETTLED)
        })
    }
}

#[cfg(all(test, any(feature = "deadpool", feature = "sqlx")))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_leaves_once_if_it_is_older_than_the_change_or_was_made_in_the_second_after_it()
     {
        let first = Change {
            version: "1".into(),
            at: None,
        };
        assert!(!first.outdates(Duration::from_secs(100)));

        let change = Change {
            version: "2".into(),
            at: Some(Instant::now()),
        };
        let made_after = |offset: u64| {
            let age = change.at.map(|at| at.elapsed()).unwrap_or_default();
            change.outdates(age.saturating_sub(Duration::from_millis(offset)))
        };
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(
            change.outdates(Duration::from_millis(501)),
            "made before the change"
        );
        assert!(!made_after(10), "used while the second lasts");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(
            made_after(10) && made_after(999),
            "its login may have begun before the change"
        );
        assert!(!made_after(1000));
    }
}
