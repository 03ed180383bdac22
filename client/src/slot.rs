//! The current credential: read without a lock, replaced as a whole.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{credential::Credential, error::Error, rejections::Rejections};

/// What handles and the task that renews share.
pub(crate) struct Shared {
    pub(crate) id: Arc<str>,
    /// What metrics call it, if they do.
    pub(crate) label: Option<Arc<str>>,
    /// The provider's last answer was a failure.
    pub(crate) failing: AtomicBool,
    /// How far the store may lag.
    pub(crate) lag: Duration,
    pub(crate) slot: ArcSwap<Slot>,
    /// Reading takes no lock. Replacing takes one, so that nothing changes between its check and the replacement.
    replacing: Mutex<Option<Invalidated>>,
    /// It closes when the secret is not renewed any more.
    changes: watch::Receiver<Change>,
    /// Announcements of new versions.
    pub(crate) pushed: Pushed,
    /// The task that waits for the database's notifications.
    #[cfg(feature = "listen")]
    pub(crate) listener: Mutex<Option<tokio::task::AbortHandle>>,
    /// The server's answers about the versions.
    pub(crate) rejections: Rejections,
}

/// Where an announcement of a new version waits for the task.
#[derive(Default)]
pub(crate) struct Pushed {
    latest: Mutex<Push>,
    arrived: Notify,
    /// A session listens for notifications.
    listening: AtomicBool,
}

/// An announcement: there may be a new version, perhaps with its id.
#[derive(Default)]
pub(crate) struct Push {
    pub(crate) unnamed: bool,
    pub(crate) named: Option<String>,
    /// No session listens any more.
    pub(crate) missed: bool,
}

impl Pushed {
    #[cfg(feature = "listen")]
    fn tell(&self, named: Option<String>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match named {
            Some(_) => latest.named = named,
            None => latest.unnamed = true,
        }
        self.arrived.notify_one();
    }

    /// Sets whether a session listens from now on.
    #[cfg(feature = "listen")]
    pub(crate) fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::SeqCst);
        if !listening {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            latest.missed = true;
            self.arrived.notify_one();
        }
    }

    /// Whether a session listens.
    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }

    /// Waits for an announcement, and takes all that came since the last call. It may be empty.
    pub(crate) async fn next(&self) -> Push {
        self.arrived.notified().await;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut latest)
    }
}

/// What a read sees.
pub(crate) struct Slot {
    pub(crate) credential: Credential,
    /// Why it may not be used. Then the credential is empty except for its version.
    pub(crate) unusable: Option<Error>,
    /// The age from which it may not be used any more.
    bound: Duration,
}

/// The shortest time between two invalidations of a version: another caller that saw it fail takes what the provider has
/// confirmed.
const BETWEEN_INVALIDATIONS: Duration = Duration::from_secs(1);

/// What a caller dropped last.
struct Invalidated {
    version: Arc<str>,
    at: Instant,
}

/// The current version.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: Arc<str>,
}

impl Shared {
    /// With the sender of changes.
    pub(crate) fn new(
        id: Arc<str>,
        label: Option<Arc<str>>,
        lag: Duration,
        first: Credential,
        bound: Duration,
    ) -> (Self, watch::Sender<Change>) {
        let (tell, changes) = watch::channel(Change {
            version: first.version_id().clone(),
        });
        let shared = Self {
            id,
            label,
            failing: AtomicBool::new(false),
            lag,
            slot: ArcSwap::from_pointee(Slot {
                credential: first,
                unusable: None,
                bound,
            }),
            replacing: Mutex::new(None),
            changes,
            pushed: Pushed::default(),
            #[cfg(feature = "listen")]
            listener: Mutex::default(),
            rejections: Rejections::default(),
        };
        (shared, tell)
    }

    /// Changes from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<Change> {
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        changes
    }

    /// A new version was announced, perhaps with its id. An announcement of the current version replaces no other one.
    #[cfg(feature = "listen")]
    pub(crate) fn push(&self, named: Option<String>) {
        let held = self.slot.load();
        if named.as_deref() != Some(held.credential.version()) {
            self.pushed.tell(named);
        }
    }

    /// The hit path. Without inlining it would cost 50 % more: the answer would be written to memory and read back.
    #[inline(always)]
    pub(crate) fn current(&self) -> Result<CredentialGuard, Error> {
        let slot = self.slot.load();
        match &slot.unusable {
            None => Ok(CredentialGuard { slot }),
            Some(error) => Err(error.clone()),
        }
    }

    /// The current credential and its age, unless it is past its bound.
    #[inline]
    pub(crate) fn usable_now(&self) -> Option<(CredentialGuard, Duration)> {
        let credential = self.current().ok()?;
        let age = credential.slot.age_within_bound()?;
        Some((credential, age))
    }

    /// The last current version, usable or not.
    pub(crate) fn last(&self) -> Arc<Slot> {
        self.slot.load_full()
    }

    /// Makes a credential current, and returns whether it is another version than before.
    ///
    /// `None` if this version was invalidated after the provider was asked for it: the answer is older than that.
    pub(crate) fn install(&self, credential: Credential, bound: Duration) -> Option<bool> {
        let invalidated = self.replacing();
        let version = credential.version_id().clone();
        if let Some(invalidated) = &*invalidated
            && invalidated.version == version
            && invalidated.at > credential.asked()
        {
            return None;
        }
        let changed = self.slot.load().credential.version_id() != &version;
        self.slot.store(Arc::new(Slot {
            credential,
            unusable: None,
            bound,
        }));
        Some(changed)
    }

    /// Withdraws this version, and does not accept it again until a new answer of the provider has it.
    pub(crate) fn invalidate(&self, version: &str) {
        let (mut invalidated, now) = (self.replacing(), Instant::now());
        let lately =
            |last: &Invalidated| *last.version == *version && now < last.at + BETWEEN_INVALIDATIONS;
        if self.slot.load().credential.version() != version
            || invalidated.as_ref().is_some_and(lately)
        {
            return;
        }
        *invalidated = Some(Invalidated {
            version: version.into(),
            at: now,
        });
        self.empty(|held| Error::Invalidated {
            secret: self.id.clone(),
            version: held.version_id().clone(),
        });
    }

    /// Withdraws the current version.
    pub(crate) fn withdraw(&self, why: impl FnOnce(&Credential) -> Error) {
        let _replacing = self.replacing();
        self.empty(why);
    }

    /// Removes the secrets; the version's id stays.
    fn empty(&self, why: impl FnOnce(&Credential) -> Error) {
        let slot = self.slot.load();
        if slot.is_usable() {
            self.slot.store(Arc::new(Slot {
                unusable: Some(why(&slot.credential)),
                credential: slot.credential.emptied(),
                bound: slot.bound,
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

    /// When it may not be used any more, by the runtime's clock.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        self.is_usable()
            .then(|| self.credential.asked() + self.bound)
    }

    /// Whether it is past its bound, and nothing has withdrawn it yet: the runtime was not driven, or the machine was
    /// suspended.
    pub(crate) fn is_overdue(&self) -> bool {
        self.is_usable() && self.age_within_bound().is_none()
    }

    fn age_within_bound(&self) -> Option<Duration> {
        let age = self.credential.age();
        (age < self.bound).then_some(age)
    }
}

/// The credential that was current when it was read.
///
/// It does not change while it is held; hold it only for as long as a login takes.
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
