//! The handle that applications hold.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::Instant,
};
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};

use crate::{
    error::Error,
    refresh::{Ask, Recovery},
    slot::{Change, CredentialGuard, Shared},
};

/// The current version of a secret, at all times.
///
/// Cheap to clone; all clones share one credential and the task that renews it, which ends with the last of them.
#[derive(Clone)]
pub struct RotatingSecret {
    pub(crate) shared: Arc<Shared>,
    asks: mpsc::UnboundedSender<Ask>,
    #[cfg_attr(
        not(feature = "listen"),
        expect(dead_code, reason = "dropping it ends the task")
    )]
    task: Arc<Task>,
}

/// Ends the task when the last handle is dropped, even in the middle of a fetch.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RotatingSecret {
    pub(crate) fn new(
        shared: Arc<Shared>,
        asks: mpsc::UnboundedSender<Ask>,
        task: AbortHandle,
    ) -> Self {
        Self {
            shared,
            asks,
            task: Arc::new(Task(task)),
        }
    }

    /// The secret's id.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// The current credential: no lock, no allocation, no clock, and no point where two threads wait for each other. A
    /// [`reader`](Self::reader) is cheaper still.
    ///
    /// It reads no clock, and that has a price: the task that renews keeps the bound. If that task does not run (a program that
    /// drives its runtime only now and then, a machine that was suspended, Lambda between two invocations) this may return a
    /// credential past its bound. [`usable`](Self::usable) does not.
    ///
    /// # Errors
    ///
    /// There is no credential: the provider has not answered for too long, or [`invalidate`](Self::invalidate) dropped it.
    /// [`usable`](Self::usable) waits for the next one.
    #[inline(always)]
    pub fn current(&self) -> Result<CredentialGuard, Error> {
        self.shared.current()
    }

    /// The current credential, or, while there is none, the next one. One fetch serves all who wait.
    ///
    /// It reads the runtime's clock and the wall's: it never returns a credential past its bound, even if nothing ran here for
    /// long.
    ///
    /// # Errors
    ///
    /// That fetch failed, or an earlier one failed so recently that the provider is not asked again yet.
    pub async fn usable(&self) -> Result<CredentialGuard, Error> {
        match self.shared.usable_now() {
            Some((credential, _)) => Ok(credential),
            None => self.ask(Ask::Usable).await,
        }
    }

    /// The current credential and its [`age`](crate::Credential::age), if [`usable`](Self::usable) would return it without a wait.
    pub fn usable_now(&self) -> Option<(CredentialGuard, Duration)> {
        self.shared.usable_now()
    }

    /// Asks the provider now, and returns the credential that is current then. Calls that follow each other closely ask it ten
    /// times, and then once a second.
    ///
    /// # Errors
    ///
    /// As for [`usable`](Self::usable).
    pub async fn refresh(&self) -> Result<CredentialGuard, Error> {
        self.ask(Ask::Refresh).await
    }

    /// Whether the provider's last answer was a failure. The version from before it is still served, up to its bound.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::SeqCst)
    }

    /// Drops this version if it is the current one, and asks the provider. Another version is left alone, and so is one that
    /// was dropped within the last second: the provider still has it.
    pub fn invalidate(&self, version: &str) {
        self.shared.invalidate(version);
        // nobody waits for the answer
        let (reply, _) = oneshot::channel();
        let _ = self.asks.send(Ask::Usable(reply));
    }

    /// The version to try after the server rejected this one: the current version if it has changed meanwhile, or else what the
    /// provider has, first AWSCURRENT, then AWSPENDING, then AWSCURRENT again.
    ///
    /// A store that lags has it later than the server does. So this waits for another version, and asks the provider, for as
    /// long as the store may lag ([`Builder::lag`](crate::Builder::lag)). The same questions serve all who wait.
    /// [`log_in`](Self::log_in) does a whole login with it.
    ///
    /// # Errors
    ///
    /// The provider has only rejected versions, or gave no answer.
    pub async fn recover(&self, rejected: &str) -> Result<CredentialGuard, Error> {
        let (rejected, now) = (rejected.into(), Instant::now());
        self.shared.rejections.unclear(&rejected);
        self.recover_from(&[rejected], now, now + self.shared.lag)
            .await
    }

    pub(crate) async fn recover_from(
        &self,
        tried: &[Arc<str>],
        since: Instant,
        until: Instant,
    ) -> Result<CredentialGuard, Error> {
        if let Ok(credential) = self.current()
            && !tried.contains(credential.version_id())
        {
            return Ok(credential);
        }
        let tried = tried.to_vec();
        self.ask(|reply| {
            Ask::Recover(Recovery {
                tried,
                since,
                until,
                reply,
            })
        })
        .await
    }

    /// Waits until another version is current than now. In a loop that does other things between two calls, it misses a change
    /// in between: use [`changed_from`](Self::changed_from).
    ///
    /// # Errors
    ///
    /// The secret is not renewed any more.
    pub async fn changed(&self) -> Result<CredentialGuard, Error> {
        let version = self.shared.watch().borrow().version.clone();
        self.changed_from(&version).await
    }

    /// Waits until another version than this one is current, which may already be so: no change is lost between two calls.
    ///
    /// ```
    /// # use rotating_secret::{Error, RotatingSecret};
    /// # async fn next_request() {}
    /// # async fn example(secret: RotatingSecret) -> Result<(), Error> {
    /// let mut version = secret.usable().await?.version().to_owned();
    /// loop {
    ///     tokio::select! {
    ///         changed = secret.changed_from(&version) => version = changed?.version().to_owned(),
    ///         () = next_request() => {}
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The secret is not renewed any more.
    pub async fn changed_from(&self, version: &str) -> Result<CredentialGuard, Error> {
        let mut changes = self.shared.watch();
        let changed = changes.wait_for(|change| *change.version != *version).await;
        drop(changed.map_err(|_| self.stopped())?);
        self.usable().await
    }

    /// The ids of the versions that become current from now on. The stream ends with the last handle; a slow reader sees the
    /// last of several.
    pub fn changes(&self) -> impl Stream<Item = String> + Send + Unpin + use<> {
        WatchStream::from_changes(self.shared.watch()).map(|change| change.version.to_string())
    }

    #[cfg_attr(
        not(any(
            feature = "listen",
            feature = "deadpool",
            feature = "bb8",
            feature = "sqlx"
        )),
        expect(dead_code, reason = "pools and the listener watch it")
    )]
    pub(crate) fn watch(&self) -> watch::Receiver<Change> {
        self.shared.watch()
    }

    async fn ask(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<CredentialGuard, Error>>) -> Ask,
    ) -> Result<CredentialGuard, Error> {
        let (reply, answer) = oneshot::channel();
        let _ = self.asks.send(ask(reply));
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    fn stopped(&self) -> Error {
        Error::Stopped {
            secret: self.shared.id.clone(),
        }
    }
}

/// What the listener needs.
#[cfg(feature = "listen")]
impl RotatingSecret {
    pub(crate) fn arn(&self) -> Option<String> {
        self.shared.last().credential().arn().map(str::to_owned)
    }

    /// A new version was announced, perhaps with its id.
    pub(crate) fn pushed(&self, named: Option<String>) {
        self.shared.push(named);
    }

    pub(crate) fn downgrade(&self) -> WeakSecret {
        WeakSecret {
            shared: Arc::downgrade(&self.shared),
            asks: self.asks.downgrade(),
            task: Arc::downgrade(&self.task),
        }
    }
}

/// While this lives, the database announces changes.
#[cfg(feature = "listen")]
pub(crate) struct Listening(std::sync::Weak<Shared>);

#[cfg(feature = "listen")]
impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.pushed.set_listening(false);
        }
    }
}

/// A handle that does not keep the secret fresh.
#[cfg(feature = "listen")]
pub(crate) struct WeakSecret {
    shared: std::sync::Weak<Shared>,
    asks: mpsc::WeakUnboundedSender<Ask>,
    task: std::sync::Weak<Task>,
}

#[cfg(feature = "listen")]
impl WeakSecret {
    /// From now on the database announces changes.
    pub(crate) fn begin_listening(&self) -> Listening {
        if let Some(shared) = self.shared.upgrade() {
            shared.pushed.set_listening(true);
        }
        Listening(self.shared.clone())
    }

    pub(crate) fn upgrade(&self) -> Option<RotatingSecret> {
        Some(RotatingSecret {
            shared: self.shared.upgrade()?,
            asks: self.asks.upgrade()?,
            task: self.task.upgrade()?,
        })
    }
}

impl fmt::Debug for RotatingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingSecret")
            .field("id", &self.shared.id)
            .field("current", &self.current())
            .finish_non_exhaustive()
    }
}
