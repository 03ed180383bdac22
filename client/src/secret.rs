//! The handle that applications hold.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
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

/// A secret that is always the one in force.
///
/// Cheap to clone; all clones share one credential and the task that renews it, which ends with the last of them.
#[derive(Clone)]
pub struct RotatingSecret {
    pub(crate) shared: Arc<Shared>,
    asks: mpsc::UnboundedSender<Ask>,
    #[cfg_attr(
        not(feature = "listen"),
        expect(dead_code, reason = "held for its end")
    )]
    task: Arc<Task>,
}

/// Ends the task when the last handle goes, in the middle of a fetch too.
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

    /// The credential in force: no lock, no allocation, no clock, and nothing that two threads would wait for each other
    /// at. A [`reader`](Self::reader) is cheaper still.
    ///
    /// That it reads no clock has a price: the bound is kept by the task that renews. Where that task does not get to run
    /// (a program that drives its runtime only now and then, a machine that was suspended, Lambda between two invocations)
    /// this may give a credential past its bound. [`usable`](Self::usable) does not.
    ///
    /// # Errors
    ///
    /// There is none: the provider has not been heard of for too long, or [`invalidate`](Self::invalidate) dropped it.
    /// [`usable`](Self::usable) waits for the next one.
    #[inline(always)]
    pub fn current(&self) -> Result<CredentialGuard, Error> {
        self.shared.current()
    }

    /// The credential in force, or, while there is none, the next one. All who wait are served by one fetch.
    ///
    /// It looks at the clock, at the wall's too: what is past its bound is not given, however long nothing ran here.
    ///
    /// # Errors
    ///
    /// That fetch failed, or one before it failed so recently that the provider is not asked again yet.
    pub async fn usable(&self) -> Result<CredentialGuard, Error> {
        match self.shared.current() {
            Ok(credential) if !credential.is_overdue() => Ok(credential),
            _ => self.ask(Ask::Usable).await,
        }
    }

    /// Has the provider asked now, and returns what is in force then. Who calls it all the time has it asked ten times, and
    /// then once a second.
    ///
    /// # Errors
    ///
    /// As for [`usable`](Self::usable).
    pub async fn refresh(&self) -> Result<CredentialGuard, Error> {
        self.ask(Ask::Refresh).await
    }

    /// Whether the provider's last answer was a failure. What was read before it is served on, up to its bound.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::SeqCst)
    }

    /// Drops this version if it is the one in force, and has the provider asked. Another version is left alone, and so is
    /// one that was dropped within the last second: the provider has it still.
    pub fn invalidate(&self, version: &str) {
        self.shared.invalidate(version);
        // nobody waits for the answer
        let (reply, _) = oneshot::channel();
        let _ = self.asks.send(Ask::Usable(reply));
    }

    /// What to try after the server rejected this version: the version that is in force meanwhile, or else what the
    /// provider has, first AWSCURRENT, then AWSPENDING, then AWSCURRENT again.
    ///
    /// A store that lags has it later than the server does. So it waits for another version, and has the provider asked,
    /// for as long as the store may lag ([`Builder::lag`](crate::Builder::lag)). All who wait are answered by the same
    /// questions. [`log_in`](Self::log_in) does the whole of a login with it.
    ///
    /// # Errors
    ///
    /// The provider has nothing but what was rejected, or gave no answer.
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

    /// Waits until another version is in force than now. In a loop that does other things between two calls, a change
    /// meanwhile is not seen: that wants [`changed_from`](Self::changed_from).
    ///
    /// # Errors
    ///
    /// The secret is not renewed any more.
    pub async fn changed(&self) -> Result<CredentialGuard, Error> {
        let version = self.shared.watch().borrow().version.clone();
        self.changed_from(&version).await
    }

    /// Waits until another version than this is in force, which may be so already: no change is lost between two calls.
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

    /// The ids of the versions that come into force from now on. It ends with the last handle; a slow reader sees the
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

    /// Somebody says that there is a new version, and perhaps which.
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

/// The database tells of changes for as long as this lives.
#[cfg(feature = "listen")]
pub(crate) struct Hearing(std::sync::Weak<Shared>);

#[cfg(feature = "listen")]
impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.pushed.set_heard(false);
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
    /// From now on the database tells.
    pub(crate) fn hear(&self) -> Hearing {
        if let Some(shared) = self.shared.upgrade() {
            shared.pushed.set_heard(true);
        }
        Hearing(self.shared.clone())
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
