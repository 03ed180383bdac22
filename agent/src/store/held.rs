//! The cached entries, and how to find them. Nothing here calls or waits.

use std::{num::NonZeroUsize, time::Duration};

use lru::LruCache;
use rotating_secret::{CredentialGuard, RotatingSecret};
use tokio::time::Instant;

use super::{
    Question,
    ids::{Ids, Key, spells},
    pulse::Pulse,
};

/// How long an entry without a version stays: not every reader repeats a refused call.
const REFUSED: Duration = Duration::from_secs(10);

pub(super) struct Held {
    /// Secrets that are followed without a request. No reader displaces them.
    followed: Vec<RotatingSecret>,
    /// The versions that were served.
    served: LruCache<Key, Entry>,
    /// Entries without a version yet. They are apart, so that ids that do not exist displace no version.
    asked: LruCache<Key, Entry>,
    ids: Ids,
    pulse: Pulse,
}

struct Entry {
    secret: RotatingSecret,
    read: Instant,
}

/// An entry that was found.
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) secret: RotatingSecret,
    place: Place,
    /// How long ago a freeze of the process ended.
    pub(super) thawed: Option<Duration>,
}

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Followed,
    Served,
    Asked,
}

impl Held {
    pub(super) fn new(size: NonZeroUsize) -> Self {
        Self {
            followed: Vec::new(),
            served: LruCache::new(size),
            asked: LruCache::new(size),
            ids: Ids::new(size),
            pulse: Pulse::new(),
        }
    }

    pub(super) fn feel(&mut self) {
        self.pulse.feel(Instant::now());
    }

    /// The entry for this question, if there is one.
    pub(super) fn find(&mut self, question: &Question) -> Option<Found> {
        let now = Instant::now();
        let (thawed, key) = (self.pulse.feel(now), self.ids.key(question));
        let found = |key, secret: &RotatingSecret, place| Found {
            key,
            secret: secret.clone(),
            place,
            thawed,
        };
        let is_one = |secret: &&RotatingSecret| is_followed(secret, &question.id);
        if key.is_current()
            && let Some(secret) = self.followed.iter().find(is_one)
        {
            return Some(found(key, secret, Place::Followed));
        }
        for (place, entries) in [
            (Place::Served, &mut self.served),
            (Place::Asked, &mut self.asked),
        ] {
            if let Some(entry) = entries.get_mut(&key) {
                entry.read = now;
                return Some(found(key, &entry.secret, place));
            }
        }
        None
    }

    /// The same. A new one begins if there is none.
    pub(super) fn entry<E>(
        &mut self,
        question: &Question,
        begin: impl FnOnce() -> Result<RotatingSecret, E>,
    ) -> Result<Found, E> {
        if let Some(found) = self.find(question) {
            return Ok(found);
        }
        let (key, secret, read) = (self.ids.key(question), begin()?, Instant::now());
        let entry = Entry {
            secret: secret.clone(),
            read,
        };
        self.asked.put(key.clone(), entry);
        Ok(Found {
            key,
            secret,
            place: Place::Asked,
            thawed: None,
        })
    }

    /// Records that it was served: from now on every spelling of its secret finds it.
    pub(super) fn serve(&mut self, found: &Found, id: &str, name: Option<&str>, arn: Option<&str>) {
        let mut key = found.key.clone();
        if let Some(arn) = arn {
            self.ids.learn(id, name, arn);
            key = key.of(arn);
        }
        match found.place {
            Place::Followed => None,
            Place::Served => self.served.pop(&found.key),
            Place::Asked => self.asked.pop(&found.key),
        };
        // another spelling may have begun another entry: the one that was confirmed last stays
        let held = self.served.peek(&key).map(|entry| age(&entry.secret));
        if held.is_none_or(|held| age(&found.secret) < held) {
            let (secret, read) = (found.secret.clone(), Instant::now());
            self.served.put(key, Entry { secret, read });
        }
    }

    /// Readers of this secret get this handle from now on.
    pub(super) fn adopt(&mut self, secret: &RotatingSecret) {
        self.followed.push(secret.clone());
    }

    /// Forgets the ARN of this id. Returns false if none was known: another read would ask the same question.
    pub(super) fn forget(&mut self, found: &Found, id: &str) -> bool {
        let was_known = self.ids.forget(id);
        if was_known {
            self.served.pop(&found.key);
            self.asked.pop(&found.key);
        }
        // a followed secret with this name may have another ARN now
        was_known || found.place == Place::Followed
    }

    /// Drops entries that nobody reads, which ends their renewal.
    pub(super) fn sweep(&mut self, idle: Duration) {
        let now = Instant::now();
        let is_over = |entry: &Entry| {
            let unread = now.saturating_duration_since(entry.read);
            unread >= idle || (unread >= REFUSED && entry.secret.current().is_err())
        };
        for entries in [&mut self.served, &mut self.asked] {
            let over = entries.iter().filter(|(_, entry)| is_over(entry));
            let over: Vec<Key> = over.map(|(key, _)| key.clone()).collect();
            for key in over {
                entries.pop(&key);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.followed.len() + self.served.len() + self.asked.len()
    }

    /// How long ago the oldest version was confirmed.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let served = self.served.iter().map(|(_, entry)| &entry.secret);
        let versions = served.chain(&self.followed);
        let versions = versions.filter_map(|secret| secret.current().ok());
        versions.map(|version| version.age()).max()
    }
}

impl Found {
    /// Whether serving it as this secret would teach nothing new.
    pub(super) fn is_known_as(&self, arn: Option<&str>) -> bool {
        match self.place {
            Place::Followed => true,
            Place::Served => arn.is_none_or(|arn| self.key.is_of(arn)),
            Place::Asked => false,
        }
    }
}

fn age(secret: &RotatingSecret) -> Duration {
    let version = secret.current();
    version.map_or(Duration::MAX, |version| version.age())
}

/// Whether an id means this secret.
fn is_followed(secret: &RotatingSecret, id: &str) -> bool {
    let is_spelled = |version: CredentialGuard| spells(id, version.name(), version.arn());
    secret.id() == id || secret.current().is_ok_and(is_spelled)
}
