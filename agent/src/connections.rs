//! Which connections are open, and which of them are served.
//!
//! A connection that has shown the token, or whose user a socket serves, is served, and counts against `max_conn`. All others are guests.
//! A guest gets a refusal or `/ping`, and the oldest guest is cut when there is no room. So a process without the token cannot keep out one that has it, and
//! a probe gets its answer while every connection is in use. A client that says no more may have left: its connection gives its place to
//! others, and is cut if it leaves too little room for guests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

use crate::asker::{Asker, Peer};

/// Places for guests while every served connection is in use.
const SPARE: usize = 16;

#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    /// One permit for each connection: each is a descriptor.
    open: Arc<Semaphore>,
    places: Arc<Semaphore>,
    all: Mutex<All>,
    last: AtomicU64,
}

/// All in the order of their arrival.
#[derive(Default)]
struct All {
    guests: BTreeMap<u64, AbortHandle>,
    served: BTreeMap<u64, Served>,
    /// They were served, and an answer is due; nothing more comes from their clients.
    silent: BTreeMap<u64, AbortHandle>,
}

struct Served {
    task: AbortHandle,
    /// Who asked last.
    asker: Asker,
    _place: OwnedSemaphorePermit,
}

/// A connection. Dropping it frees its place.
pub struct Connection {
    number: u64,
    /// Who connected, unless it came to the port.
    peer: Option<Peer>,
    /// An answer is due, even if the client sends no more.
    owes: AtomicBool,
    shared: Arc<Shared>,
    _open: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `served` connections are served at a time.
    pub(crate) fn new(served: usize) -> Self {
        Self(Arc::new(Shared {
            open: Arc::new(Semaphore::new(served + SPARE)),
            places: Arc::new(Semaphore::new(served)),
            all: Mutex::default(),
            last: AtomicU64::new(0),
        }))
    }

    /// How many count against `max_conn`, and how many others there are.
    pub(crate) fn count(&self) -> (usize, usize) {
        let all = self.0.all();
        (all.served.len(), all.guests.len() + all.silent.len())
    }

    /// Those whose right has ended are guests again: they keep out nobody who has one.
    pub(crate) fn review(&self, may_read: impl Fn(&Asker) -> bool) {
        let mut all = self.0.all();
        let All { guests, served, .. } = &mut *all;
        for (number, lost) in served.extract_if(.., |_, served| !may_read(&served.asker)) {
            guests.insert(number, lost.task);
        }
    }

    /// Waits for a free place. Without one, it cuts the oldest guest; while there is little room for guests, one whose client may have
    /// left.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let open = &self.0.open;
        if let Ok(permit) = open.clone().try_acquire_owned() {
            return Some(permit);
        }
        let cut = {
            let mut all = self.0.all();
            let silent = match all.guests.len() < SPARE {
                true => all.silent.pop_first(),
                false => None,
            };
            silent.or_else(|| all.guests.pop_first())
        };
        if let Some((_, task)) = cut {
            task.abort();
        }
        open.clone().acquire_owned().await.ok()
    }

    /// Shutdown does not wait for guests: a half-sent head would hold it up.
    pub(crate) fn dismiss_guests(&self) {
        for guest in self.0.all().guests.values() {
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
            owes: AtomicBool::new(false),
            shared: self.0.clone(),
            _open: open,
        });
        // locked, so that the task is listed before it can remove itself
        let mut all = self.0.all();
        let task = tokio::spawn(serve(connection));
        all.guests.insert(number, task.abort_handle());
    }
}

impl Shared {
    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Who connected to a unix socket.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Sets whether an answer is due, even if the client sends no more.
    pub(crate) fn owe(&self, owes: bool) {
        self.owes.store(owes, Ordering::Relaxed);
    }

    pub(crate) fn owes(&self) -> bool {
        self.owes.load(Ordering::Relaxed)
    }

    /// Nothing more comes from the client, which may have left: it gets its answer, and keeps out nobody.
    pub(crate) fn has_said_all(&self) {
        let mut all = self.shared.all();
        if let Some(served) = all.served.remove(&self.number) {
            all.silent.insert(self.number, served.task);
        }
    }

    /// The connection may read, because this asker may. False if `max_conn` connections are served already.
    pub fn admit(&self, asker: &Asker) -> bool {
        let mut all = self.shared.all();
        if let Some(served) = all.served.get_mut(&self.number) {
            // most programs send one token, again and again
            if served.asker.given != asker.given {
                served.asker = asker.kept();
            }
            return true;
        }
        let Ok(place) = self.shared.places.clone().try_acquire_owned() else {
            return false;
        };
        let guest = all.guests.remove(&self.number);
        // one that is not listed is cut now
        let Some(task) = guest.or_else(|| all.silent.remove(&self.number)) else {
            return false;
        };
        let served = Served {
            task,
            asker: asker.kept(),
            _place: place,
        };
        all.served.insert(self.number, served);
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut all = self.shared.all();
        all.guests.remove(&self.number);
        all.served.remove(&self.number);
        all.silent.remove(&self.number);
    }
}
