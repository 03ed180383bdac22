//! Who may have a connection.
//!
//! One that has shown the token is served, and counts against `max_conn`. All others are guests: a refusal or `/ping` is all that they
//! get, and where there is no room, the oldest guest goes. So a process without the token keeps out none that has it, and a probe
//! gets its answer while every connection is in use.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

/// Guests that there is room for while every connection is in use.
const SPARE: usize = 16;

#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    /// All of them: each is a descriptor.
    open: Arc<Semaphore>,
    served: Arc<Semaphore>,
    /// In the order in which they came.
    guests: Mutex<BTreeMap<u64, AbortHandle>>,
    last: AtomicU64,
}

/// One of them. Its place is free when this is dropped.
pub struct Connection {
    number: u64,
    all: Arc<Shared>,
    served: OnceLock<OwnedSemaphorePermit>,
    _open: OwnedSemaphorePermit,
}

impl Connections {
    /// So many are served at a time.
    pub(crate) fn new(served: usize) -> Self {
        Self(Arc::new(Shared {
            open: Arc::new(Semaphore::new(served + SPARE)),
            served: Arc::new(Semaphore::new(served)),
            guests: Mutex::default(),
            last: AtomicU64::new(0),
        }))
    }

    /// A place for one more, for which the oldest guest has to go where there is none.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let open = &self.0.open;
        if let Ok(permit) = open.clone().try_acquire_owned() {
            return Some(permit);
        }
        if let Some((_, guest)) = self.0.guests().pop_first() {
            guest.abort();
        }
        open.clone().acquire_owned().await.ok()
    }

    /// The end waits for no guest: half a head would hold it up.
    pub(crate) fn dismiss_guests(&self) {
        for guest in self.0.guests().values() {
            guest.abort();
        }
    }

    /// Takes a place, and runs what it is for as a guest.
    pub(crate) fn run<F>(
        &self,
        open: OwnedSemaphorePermit,
        serve: impl FnOnce(Arc<Connection>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            number,
            all: self.0.clone(),
            served: OnceLock::new(),
            _open: open,
        });
        // held, so that it is among the guests before it can leave them
        let mut guests = self.0.guests();
        let task = tokio::spawn(serve(connection));
        guests.insert(number, task.abort_handle());
    }
}

impl Shared {
    fn guests(&self) -> MutexGuard<'_, BTreeMap<u64, AbortHandle>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// It has shown the token. False: as many as may be are served already.
    pub fn admit(&self) -> bool {
        if self.served.get().is_some() {
            return true;
        }
        let Ok(permit) = self.all.served.clone().try_acquire_owned() else {
            return false;
        };
        self.all.guests().remove(&self.number);
        self.served.set(permit).is_ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.guests().remove(&self.number);
    }
}
