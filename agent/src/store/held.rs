//! The cached entries, and how to find them. Nothing here calls or waits.

use std::{num::NonZeroUsize, time::Duration};

use lru::LruCache;
use rotating_secret::RotatingSecret;
use tokio::time::Instant;

use super::{
    Question,
    ids::{Ids, Key},
    pulse::Pulse,
};

/// How long an entry without a version stays: not every reader repeats a refused call.
const REFUSED: Duration = Duration::from_secs(10);

pub(super) struct Held {
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
    /// Whether it was served earlier.
    is_served: bool,
    /// How long ago a freeze of the process ended.
    pub(super) thawed: Option<Duration>,
}

impl Held {
    pub(super) fn new(size: NonZeroUsize) -> Self {
        Self {
            served: LruCache::new(size),
            asked: LruCache::new(size),
            ids: Ids::new(size),
            pulse: Pulse::new(),
        }
    }

    pub(super) fn feel(&mut self) -> Option<Duration> {
        self.pulse.feel()
    }

    /// The entry for this question. A new one begins if there is none.
    pub(super) fn entry<E>(
        &mut self,
        question: &Question,
        begin: impl FnOnce() -> Result<RotatingSecret, E>,
    ) -> Result<Found, E> {
        let (thawed, key, read) = (self.feel(), self.ids.key(question), Instant::now());
        let is_served = self.served.contains(&key);
        let entries = match is_served {
            true => &mut self.served,
            false => &mut self.asked,
        };
        let secret = match entries.get_mut(&key) {
            Some(entry) => {
                entry.read = read;
                entry.secret.clone()
            }
            None => {
                let secret = begin()?;
                let entry = Entry {
                    secret: secret.clone(),
                    read,
                };
                entries.put(key.clone(), entry);
                secret
            }
        };
        Ok(Found {
            key,
            secret,
            is_served,
            thawed,
        })
    }

    /// Records that it was served: from now on every spelling of its secret finds it.
    pub(super) fn serve(&mut self, found: &Found, id: &str, name: Option<&str>, arn: Option<&str>) {
        let mut key = found.key.clone();
        if let Some(arn) = arn {
            self.ids.learn(id, name, arn);
            key = key.of(arn);
        }
        match found.is_served {
            true => self.served.pop(&found.key),
            false => self.asked.pop(&found.key),
        };
        if !self.served.contains(&key) {
            let (secret, read) = (found.secret.clone(), Instant::now());
            self.served.put(key, Entry { secret, read });
        }
    }

    /// Makes this handle the entry of its secret, which stays as if it was read.
    pub(super) fn adopt(&mut self, secret: &RotatingSecret) {
        let (credential, mut id) = (secret.current(), secret.id().to_owned());
        if let Ok(credential) = &credential
            && let Some(arn) = credential.arn()
        {
            self.ids.learn(&id, credential.name(), arn);
            id = arn.to_owned();
        }
        let question = Question {
            id,
            ..Question::default()
        };
        let (key, read) = (self.ids.key(&question), Instant::now());
        let entries = match credential.is_ok() {
            true => &mut self.served,
            false => &mut self.asked,
        };
        let secret = secret.clone();
        entries.put(key, Entry { secret, read });
    }

    /// Forgets the ARN of this id. Returns false if none was known: another read would ask the same question.
    pub(super) fn forget(&mut self, found: &Found, id: &str) -> bool {
        let was_known = self.ids.forget(id);
        if was_known {
            self.served.pop(&found.key);
            self.asked.pop(&found.key);
        }
        was_known
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
        self.served.len() + self.asked.len()
    }

    /// How long ago the oldest version was confirmed.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let versions = self
            .served
            .iter()
            .filter_map(|(_, entry)| entry.secret.current().ok());
        versions.map(|version| version.age()).max()
    }
}

impl Found {
    /// Whether serving it as this secret would teach nothing new.
    pub(super) fn is_known_as(&self, arn: Option<&str>) -> bool {
        self.is_served && arn.is_none_or(|arn| self.key.is_of(arn))
    }
}
