//! Which connections are open, and which of them are served.
//!
//! A connection that has shown the token, or whose user a socket serves, is served, and counts against `max_conn`. All others are guests. A guest gets a refusal or
//! `/ping`, and the oldest guest is cut when there is no room. So a process without the token cannot keep out one that has it, and
//! a probe gets its answer while every connection is in use.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

/// Places for guests while every served connection is in use.
const SPARE: usize = 16;

#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    /// How many may be served.
    most: usize,
    /// One permit for each connection: each is a descriptor.
    open: Arc<Semaphore>,
    served: Arc<Semaphore>,
    /// In the order of their arrival.
    guests: Mutex<BTreeMap<u64, AbortHandle>>,
    last: AtomicU64,
}

/// The process at the other end of a unix socket, as the kernel names it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The path of the socket.
    pub socket: Arc<Path>,
    /// Its user's number.
    pub user: u32,
    /// Its group's number.
    pub group: u32,
}

/// A connection. Dropping it frees its place.
pub struct Connection {
    number: u64,
    /// Who connected, unless it came to the port.
    peer: Option<Peer>,
    all: Arc<Shared>,
    served: OnceLock<OwnedSemaphorePermit>,
    _open: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `served` connections are served at a time.
    pub(crate) fn new(served: usize) -> Self {
        Self(Arc::new(Shared {
            most: served,
            open: Arc::new(Semaphore::new(served + SPARE)),
            served: Arc::new(Semaphore::new(served)),
            guests: Mutex::default(),
            last: AtomicU64::new(0),
        }))
    }

    /// How many are served, and how many guests there are.
    pub(crate) fn count(&self) -> (usize, usize) {
        let served = self
            .0
            .most
            .saturating_sub(self.0.served.available_permits());
        (served, self.0.guests().len())
    }

    /// Waits for a free place. Without one, it cuts the oldest guest.
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

    /// Shutdown does not wait for guests: a half-sent head would hold it up.
    pub(crate) fn dismiss_guests(&self) {
        for guest in self.0.guests().values() {
            guest.abort();
        }
    }

    /// Runs a new connection as a guest in this place.
    pub(crate) fn run<F>(
        &self,
        open: OwnedSemaphorePermit,
        peer: Option<Peer>,
        serve: impl FnOnce(Arc<Connection>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            number,
            peer,
            all: self.0.clone(),
            served: OnceLock::new(),
            _open: open,
        });
        // locked, so that the task is listed before it can remove itself
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
    /// Who connected to a unix socket.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// The connection may read. False if `max_conn` connections are served already.
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
