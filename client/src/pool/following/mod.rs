//! The common part of all pools: one driver's pool for each version, and how the next one replaces the old one.

mod fill;
mod leave;
mod room;

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use self::{leave::Leaving, room::Room};
use super::Settings;
use crate::{Attempt, Credential, LogInError, RotatingSecret, log_in::Answer};

/// A driver's own pool, which logs in as one version. A clone is the same pool.
pub(super) trait Driver: Clone + Send + Sync + 'static {
    type Connection: Send + 'static;
    type Idle: Send + 'static;
    type Error: StdError + Send + Sync + 'static;

    /// An idle connection, or a new one if there is room, or one that comes back.
    fn get(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// One more connection, with a login now.
    fn log_in(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send {
        self.get()
    }

    fn holds(&self) -> Holds;

    /// Closes an idle connection, and returns whether there was one.
    fn let_one_go(&self) -> impl Future<Output = bool> + Send;

    /// Makes no more logins, or none with the old version. Its connections still serve.
    fn stop_logins(&self, next: &Self);

    /// Makes no more connections, and closes those in use when they come back. The idle ones close when the caller drops them.
    fn close(&self) -> Vec<Self::Idle>;

    /// The server's answer in this error.
    fn sqlstate(error: &Self::Error) -> Option<String>;
}

/// How many connections a pool has.
pub(super) struct Holds {
    pub(super) all: usize,
    pub(super) idle: usize,
    pub(super) at_most: usize,
}

impl Holds {
    /// Whether a request for a connection makes the pool log in.
    pub(super) fn lacks_one(&self) -> bool {
        self.idle == 0 && self.all < self.at_most
    }
}

/// How often to look again: the drivers' pools do not report that a connection came back.
const LOOKED_AGAIN: Duration = Duration::from_millis(20);

/// Makes the pool of a version.
type Make<D> = Box<dyn Fn(&Credential) -> Result<D, <D as Driver>::Error> + Send + Sync>;

/// The pool of one version.
pub(super) struct Versioned<D> {
    version: Arc<str>,
    /// The server has accepted a login of this version.
    logs_in: AtomicBool,
    /// It will not serve after all: a login with it moves to another pool.
    is_gone: AtomicBool,
    pub(super) pool: D,
}

impl<D> Versioned<D> {
    fn new(credential: &Credential, pool: D) -> Self {
        Self {
            version: credential.version_id().clone(),
            logs_in: AtomicBool::default(),
            is_gone: AtomicBool::default(),
            pool,
        }
    }
}

/// The pool of the current version.
pub(super) struct Following<D: Driver>(Arc<Shared<D>>);

struct Shared<D: Driver> {
    secret: RotatingSecret,
    make: Make<D>,
    settings: Settings,
    serving: watch::Sender<Arc<Versioned<D>>>,
    /// The pool that will replace it.
    next: Mutex<Option<Arc<Versioned<D>>>>,
    /// The pool that was replaced. It lives as long as the task in which it leaves.
    leaving: Mutex<Weak<Leaving<D>>>,
    /// An old connection closes for each new one.
    one_for_one: AtomicBool,
    closed: AtomicBool,
    on: Handle,
    /// Those who wait for a login form a line: the first takes the next connection that comes back.
    line: tokio::sync::Mutex<()>,
    /// They end with the pool.
    tasks: Mutex<JoinSet<()>>,
}

impl<D: Driver> Following<D> {
    pub(super) fn new(
        secret: &RotatingSecret,
        credential: &Credential,
        settings: Settings,
        on: Handle,
        make: impl Fn(&Credential) -> Result<D, D::Error> + Send + Sync + 'static,
    ) -> Result<Self, D::Error> {
        // first, so that no change is missed
        let mut changes = secret.watch();
        changes.mark_changed();
        let first = Versioned::new(credential, make(credential)?);
        let shared = Arc::new(Shared {
            secret: secret.clone(),
            make: Box::new(make),
            settings,
            serving: watch::Sender::new(Arc::new(first)),
            next: Mutex::default(),
            leaving: Mutex::default(),
            one_for_one: AtomicBool::default(),
            closed: AtomicBool::default(),
            on: on.clone(),
            line: tokio::sync::Mutex::default(),
            tasks: Mutex::default(),
        });
        lock(&shared.tasks).spawn_on(shared.clone().follow(changes), &on);
        Ok(Self(shared))
    }

    /// The pool that serves now.
    pub(super) fn serving(&self) -> Arc<Versioned<D>> {
        self.0.serving.borrow().clone()
    }

    pub(super) async fn get(&self) -> Result<D::Connection, LogInError<D::Error>> {
        self.0.get().await
    }

    pub(super) fn close(&self) {
        self.0.closed.store(true, SeqCst);
        lock(&self.0.tasks).abort_all();
        self.0.drop_others();
        drop(self.serving().pool.close());
    }
}

impl<D: Driver> Drop for Following<D> {
    fn drop(&mut self) {
        lock(&self.0.tasks).abort_all();
        self.0.drop_others();
    }
}

impl<D: Driver> Shared<D> {
    async fn get(&self) -> Result<D::Connection, LogInError<D::Error>> {
        let leaving = lock(&self.leaving).upgrade();
        if let Some(leaving) = leaving
            && let Some(connection) = leaving.take_idle().await
        {
            return Ok(connection);
        }
        let mut serving = self.serving.subscribe();
        let mut first_in_line = None;
        let mut room = Room::default();
        loop {
            let one = serving.borrow_and_update().clone();
            self.hurry(&one);
            if one.pool.holds().lacks_one() {
                // no login with a credential past its bound
                self.secret.usable().await?;
            }
            let is_held_back = self.is_held_back(&one);
            let mut rejected = None;
            if !is_held_back || self.closed.load(SeqCst) {
                let began = Instant::now();
                let answer = tokio::select! {
                    biased;
                    taken = one.pool.get() => match taken {
                        Ok(connection) => return Ok(connection),
                        Err(error) => Attempt::of(D::sqlstate(&error).as_deref(), error),
                    },
                    // no wait for a pool that leaves
                    Ok(()) = serving.changed() => continue,
                };
                match answer {
                    Attempt::Failed(_) if matches!(serving.has_changed(), Ok(true)) => continue,
                    // another login was rejected meanwhile: this one waits for its turn
                    Attempt::Failed(_) if !is_held_back && self.is_held_back(&one) => continue,
                    Attempt::Failed(error) if has_no_room::<D>(&error) => {
                        if !self.has_room(&mut room, &one).await {
                            return Err(LogInError::Failed(error));
                        }
                        continue;
                    }
                    Attempt::Failed(error) => return Err(LogInError::Failed(error)),
                    attempt => {
                        let version = one.version.clone();
                        rejected = Some(Answer {
                            version,
                            attempt,
                            began,
                        });
                    }
                }
            }
            drop(first_in_line.take());
            tokio::select! {
                biased;
                answer = self.log_in(rejected) => {
                    let (accepted, connection) = answer?;
                    self.put_in_place(&accepted, Duration::ZERO);
                    return Ok(connection);
                }
                first = self.comes_back() => first_in_line = Some(first),
            }
        }
    }

    /// Waits until a connection is idle. The driver's pool would log in for a late request, so requests come one after another.
    async fn comes_back(&self) -> tokio::sync::MutexGuard<'_, ()> {
        let first = self.line.lock().await;
        while self.serving.borrow().pool.holds().idle == 0 {
            sleep(LOOKED_AGAIN).await;
        }
        first
    }

    /// Logs in as any version that the server accepts.
    async fn log_in(
        &self,
        mut rejected: Option<Answer<D::Error>>,
    ) -> Result<(Arc<Versioned<D>>, D::Connection), LogInError<D::Error>> {
        loop {
            let is_gone = &AtomicBool::default();
            let attempt = |credential: crate::CredentialGuard| {
                let one = self.pool_of(&credential);
                drop(credential);
                async move {
                    let one = one.map_err(Attempt::Failed)?;
                    match one.pool.log_in().await {
                        Ok(connection) => {
                            one.logs_in.store(true, SeqCst);
                            Ok((one, connection))
                        }
                        Err(error) => {
                            is_gone.store(one.is_gone.load(SeqCst), SeqCst);
                            Err(Attempt::of(D::sqlstate(&error).as_deref(), error))
                        }
                    }
                }
            };
            match self.secret.log_in_after(rejected.take(), attempt).await {
                Err(LogInError::Failed(_)) if is_gone.load(SeqCst) => {}
                answer => return answer,
            }
        }
    }

    /// The pool to log in with: all logins share the next one.
    fn pool_of(&self, credential: &Credential) -> Result<Arc<Versioned<D>>, D::Error> {
        let version = credential.version_id();
        let serving = self.serving.borrow().clone();
        let is_serving = serving.version == *version;
        let mut next = lock(&self.next);
        // checked under the lock: `close` takes the next pool after that
        if is_serving && !self.rejections().is_doubted(version) || self.closed.load(SeqCst) {
            return Ok(serving);
        }
        if let Some(next) = next.as_ref().filter(|next| next.version == *version) {
            return Ok(next.clone());
        }
        let made = Arc::new(Versioned::new(credential, (self.make)(credential)?));
        // a version that is tried again has a separate pool: an idle session would prove nothing about logins
        if !is_serving {
            self.let_go(next.replace(made.clone()));
        }
        Ok(made)
    }

    /// Makes the next pool serve, unless another one should by now. The old one leaves over this time.
    fn put_in_place(&self, accepted: &Arc<Versioned<D>>, over: Duration) {
        let mut next = lock(&self.next);
        if next
            .as_ref()
            .is_some_and(|next| Arc::ptr_eq(next, accepted))
        {
            *next = None;
            let old = self.serving.send_replace(accepted.clone());
            tracing::debug!(secret = self.secret.id(), version = %accepted.version, "a pool moved to the next version");
            let mut tasks = lock(&self.tasks);
            while tasks.try_join_next().is_some() {}
            let leaving = Arc::new(Leaving::new(old, &accepted.pool, over));
            let before = std::mem::replace(&mut *lock(&self.leaving), Arc::downgrade(&leaving));
            self.let_go(before.upgrade().map(|before| before.old.clone()));
            tasks.spawn_on(leaving.leave(), &self.on);
        }
    }

    /// If an old connection closes for each new one, a request without an idle connection must not log in with the old version.
    fn hurry(&self, serving: &Versioned<D>) {
        if self.one_for_one.load(SeqCst) && serving.pool.holds().idle == 0 {
            let next = lock(&self.next).clone();
            let serves =
                |next: &Arc<Versioned<D>>| next.logs_in.load(SeqCst) && next.pool.holds().all > 0;
            if let Some(next) = next.filter(serves) {
                self.put_in_place(&next, Duration::ZERO);
            }
        }
    }

    /// A pool will not serve after all: another version is current, or its logins hang. Without a close, bb8's pool would live as
    /// long as one of its logins.
    fn let_go(&self, next: Option<Arc<Versioned<D>>>) {
        if let Some(next) = next {
            next.is_gone.store(true, SeqCst);
            // sqlx takes connections back in tasks, and the caller may be outside of a runtime
            let _on = self.on.enter();
            drop(next.pool.close());
        }
    }

    fn drop_next(&self) {
        let next = lock(&self.next).take();
        self.let_go(next);
    }

    fn drop_others(&self) {
        self.drop_next();
        let leaving = lock(&self.leaving).upgrade();
        self.let_go(leaving.map(|leaving| leaving.old.clone()));
    }

    /// Whether a login is needed, and must wait for its turn.
    fn is_held_back(&self, one: &Versioned<D>) -> bool {
        one.pool.holds().lacks_one() && self.rejections().is_doubted(&one.version)
    }

    fn rejections(&self) -> &crate::rejections::Rejections {
        &self.secret.shared.rejections
    }
}

/// PostgreSQL's "too many connections", of the server or of the role (its manual, appendix A).
pub(super) const NO_ROOM: &str = "53300";

fn has_no_room<D: Driver>(error: &D::Error) -> bool {
    D::sqlstate(error).as_deref() == Some(NO_ROOM)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Driver> fmt::Debug for Following<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = self.serving().pool.holds();
        f.debug_struct("Pool")
            .field("secret", &self.0.secret)
            .field("size", &holds.all)
            .field("idle", &holds.idle)
            .finish_non_exhaustive()
    }
}
