//! Everything that a schedule changes, as plain data: store, database, service, deliveries, and the events that may still happen.

use crate::{
    bounds::Bounds,
    calls::{Credential, Kind, Start, Version, Write},
    database::{Database, Role, Until},
    line::Strategy,
    steps::{Place, Steps},
    store::Store,
};

/// A delivery that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    pub(crate) place: Place,
    pub(crate) start: Start,
    /// The service waits for its answer.
    pub(crate) awaited: bool,
    /// It went on last; only where preemptions are counted.
    pub(crate) running: bool,
    /// Its transaction, which has the lock.
    pub(crate) transaction: Option<Vec<Write>>,
    /// For the report only.
    pub(crate) name: Name,
}

/// The delivery's number among those of its kind. Two states that differ only in it are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name(pub(crate) u8);

impl PartialEq for Name {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Name {}
impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// The answer of a step that the service received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Heard {
    Nothing,
    Success,
    Failure(&'static str),
}

/// The state of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    /// Between two rotations. Whether the last one came to its end.
    Idle { done: bool },
    /// It waits for a step, or is about to deliver one.
    Rotating {
        token: Version,
        step: Kind,
        heard: Heard,
        attempts: u8,
        /// Something other than the steps has disturbed this attempt.
        disturbed: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) database: Database,
    pub(crate) now: u8,
    pub(crate) service: Service,
    pub(crate) tasks: Vec<Task>,
    /// The memories of the environments that run no delivery now.
    pub(crate) free: Vec<u32>,
    pub(crate) left: Bounds,
    /// A person changed labels or passwords, and no rotation has ended since.
    pub(crate) hands: bool,
    /// The overlap of AWSPREVIOUS is still open: only time may end it.
    pub(crate) overlap: bool,
    /// A delivery that the service did not wait for has failed, and may have left a key over.
    pub(crate) leftover: bool,
    /// The credential that the client crate holds.
    pub(crate) client: Option<u32>,
    deliveries: Name,
    pub(crate) begun: bool,
}

impl World {
    /// One version, which logs in.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let first = Credential {
            user: 0,
            password: 0,
        };
        Self {
            store: Store::new(first, bounds.lag),
            database: Database::new(bounds.room),
            now: 0,
            service: Service::Idle { done: false },
            tasks: Vec::new(),
            free: Vec::new(),
            left: bounds.clone(),
            hands: false,
            overlap: false,
            leftover: false,
            client: (bounds.logins > 0 || bounds.renewals > 0).then_some(0),
            deliveries: Name(0),
            begun: false,
        }
    }

    /// If it was rotated before, AWSPREVIOUS is the other user's, or another key, and its window is not over.
    pub(crate) fn begin(&mut self, strategy: Strategy, rotated: bool) {
        self.begun = true;
        if !rotated {
            return;
        }
        let before = match strategy {
            Strategy::Keys => Credential {
                user: 1,
                password: 1,
            },
            _ => Credential {
                user: u8::from(strategy == Strategy::Alternating),
                password: 1,
            },
        };
        let previous = self.store.add(Some(before), 0);
        self.store.view.previous = Some(previous);
        self.store.view.rotated = Some(0);
        self.overlap = strategy != Strategy::Single;
        self.store.versions[usize::from(previous)].was_current = true;
        self.database.keys[1] = Some(previous);
        self.database.made = 2;
        if strategy == Strategy::Alternating {
            self.database.roles[1] = Some(Role {
                password: 1,
                until: Until::At(1),
                by: None,
                known: false,
            });
        }
    }

    /// How many deliveries there have been.
    pub(crate) fn deliveries(&self) -> u8 {
        self.deliveries.0
    }

    pub(crate) fn logs_in(&self, strategy: Strategy, credential: Credential) -> bool {
        match strategy {
            Strategy::Keys => self.database.keys[usize::from(credential.user)].is_some(),
            _ => self.database.logs_in(credential, self.now),
        }
    }

    /// It logs in, and goes on to.
    pub(crate) fn has_no_end(&self, strategy: Strategy, credential: Credential) -> bool {
        let role = self.database.roles.get(usize::from(credential.user));
        let bounded = role.is_some_and(|role| role.is_some_and(|role| role.until != Until::Never));
        self.logs_in(strategy, credential) && (strategy == Strategy::Keys || !bounded)
    }

    /// Begins a delivery, in an environment that remembers this.
    pub(crate) fn deliver(&mut self, steps: &mut Steps, step: Kind, token: Version, memory: u32) {
        let start = Start {
            step,
            token,
            memory,
            salt: self.salt(step, token),
            now: self.now,
        };
        if let Some(free) = self.free.iter().position(|free| *free == memory) {
            self.free.remove(free);
        }
        self.deliveries.0 += 1;
        for task in &mut self.tasks {
            task.running = false;
        }
        self.tasks.push(Task {
            place: steps.start(start),
            start,
            awaited: step != Kind::Revoke,
            running: self.left.preemptions.is_some(),
            transaction: None,
            name: self.deliveries,
        });
    }

    /// Every delivery of createSecret makes another password: the first that no other one has for this token.
    fn salt(&self, step: Kind, token: Version) -> u8 {
        if step != Kind::Create {
            return 0;
        }
        let stored = self.store.value(Some(token)).map(|value| value.password);
        let taken = |salt: &u8| {
            let of = |task: &Task| task.start.step == step && task.start.token == token;
            let mut tasks = self.tasks.iter().filter(|task| of(task));
            stored == Some(token * Credential::EACH + salt)
                || tasks.any(|task| task.start.salt == *salt)
        };
        (0..Credential::EACH).find(|salt| !taken(salt)).unwrap_or(0)
    }
}
