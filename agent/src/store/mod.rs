//! The secrets that are held: one entry for each version that someone reads, however its secret is spelt.
//!
//! An entry is a [`RotatingSecret`]: it renews itself, asks once however many wait, and bridges an outage up to its bound. Here are
//! the rules for many of them: how many there are, how long one is renewed that nobody reads, and which spellings are one secret.

mod ids;
mod pulse;

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use rotating_secret::{
    BuildError, CredentialGuard, Error, RotatingSecret,
    provider::{Aws, ProviderError, ProviderErrorKind as Kind, Selector},
};
use tokio::time::{Instant, timeout};

pub use self::pulse::BETWEEN;
use self::{
    ids::{Ids, Key},
    pulse::Pulse,
};
use crate::settings::Settings;

/// How long a first read waits for an outage to pass.
const FIRST: Duration = Duration::from_secs(2);

/// How long a reader waits for the renewal that a frozen process has missed.
const MISSED: Duration = Duration::from_secs(2);

/// How long an entry is kept that has nothing to serve: a refusal is not asked again by each reader.
const REFUSED: Duration = Duration::from_secs(10);

/// What someone reads.
#[derive(Clone, Debug)]
pub struct Question {
    /// A name, an ARN, or an ARN without its last six characters.
    pub id: String,
    /// Which version; AWSCURRENT where nothing is selected.
    pub selector: Selector,
    /// Whether Secrets Manager has to be asked first.
    pub refresh: bool,
}

/// What is served.
#[derive(Debug)]
pub struct Answer {
    /// The version.
    pub credential: CredentialGuard,
    /// It is older than its lifetime, because Secrets Manager gives no answer.
    pub is_stale: bool,
}

/// What is held.
pub struct Store {
    aws: Aws,
    ttl: Duration,
    overlap_window: Duration,
    idle: Duration,
    stale_on_error: bool,
    held: Mutex<Held>,
}

struct Held {
    entries: LruCache<Key, Entry>,
    ids: Ids,
    pulse: Pulse,
}

/// An entry, and how long ago the process was thawed.
struct Found {
    secret: RotatingSecret,
    thawed: Option<Duration>,
}

struct Entry {
    secret: RotatingSecret,
    read: Instant,
}

impl Store {
    /// An empty one.
    pub fn new(aws: Aws, settings: &Settings) -> Self {
        let size = NonZeroUsize::new(settings.cache_size).unwrap_or(NonZeroUsize::MIN);
        Self {
            aws,
            ttl: settings.ttl,
            overlap_window: settings.overlap_window,
            idle: settings.idle,
            stale_on_error: settings.stale_on_error,
            held: Mutex::new(Held {
                entries: LruCache::new(size),
                ids: Ids::new(size),
                pulse: Pulse::new(),
            }),
        }
    }

    /// The version in question, from the cache where it is there.
    ///
    /// # Errors
    ///
    /// Secrets Manager refuses it, or gives no answer and nothing is held.
    pub async fn read(&self, question: &Question) -> Result<Answer, Error> {
        let (key, found) = self.entry(question)?;
        let read = self.ask(&found, question.refresh).await;
        let is_another = match &read {
            Ok(answer) => ids::is_another(&question.id, answer.credential.arn()),
            Err(error) => kind(error) == Some(Kind::NotFound) && key.is_current(),
        };
        // what the id stood for is gone, and it may stand for another secret now
        if is_another && self.forget(&key, question) {
            let (key, found) = self.entry(question)?;
            let read = self.ask(&found, question.refresh).await?;
            self.learn(&key, question, &read.credential);
            return Ok(read);
        }
        let answer = read?;
        self.learn(&key, question, &answer.credential);
        Ok(answer)
    }

    /// The process runs: called every [`BETWEEN`].
    pub fn feel(&self) {
        self.lock().pulse.feel();
    }

    /// Drops what nobody reads. Its renewal ends with it.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut held = self.lock();
        let is_over = |entry: &Entry| {
            let unread = now.saturating_duration_since(entry.read);
            unread >= self.idle || (unread >= REFUSED && entry.secret.current().is_err())
        };
        let over = held.entries.iter().filter(|(_, entry)| is_over(entry));
        let over: Vec<Key> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            held.entries.pop(&key);
        }
    }

    /// How many versions are held.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entry(&self, question: &Question) -> Result<(Key, Found), Error> {
        let mut held = self.lock();
        let thawed = held.pulse.feel();
        let key = held.ids.key(question);
        if let Some(entry) = held.entries.get_mut(&key) {
            entry.read = Instant::now();
            let secret = entry.secret.clone();
            return Ok((key, Found { secret, thawed }));
        }
        let secret = self.begin(question).map_err(|error| match error {
            BuildError::First(error) => error,
            error => Error::Provider {
                secret: question.id.as_str().into(),
                reason: ProviderError::new(Kind::Invalid, error.to_string()),
            },
        })?;
        let entry = Entry {
            secret: secret.clone(),
            read: Instant::now(),
        };
        held.entries.put(key.clone(), entry);
        Ok((key, Found { secret, thawed }))
    }

    fn begin(&self, question: &Question) -> Result<RotatingSecret, BuildError> {
        RotatingSecret::builder(&question.id)
            .ttl(self.ttl)
            .overlap_window(self.overlap_window)
            .unlabelled()
            .end_when_refused()
            .build_unread(self.aws.select(question.selector.clone()))
    }

    async fn ask(&self, found: &Found, refresh: bool) -> Result<Answer, Error> {
        let secret = &found.secret;
        if refresh {
            return secret.refresh().await.map(fresh);
        }
        let credential = match secret.usable().await {
            Ok(credential) => credential,
            // the first read of all: its entry goes on asking
            Err(error) if kind(&error).is_some_and(Kind::is_transient) => {
                match timeout(FIRST, secret.changed_from("")).await {
                    Ok(read) => read?,
                    Err(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        if credential.age() <= self.ttl {
            return Ok(fresh(credential));
        }
        if !self.stale_on_error {
            return secret.refresh().await.map(fresh);
        }
        // it is from before a freeze, in which its renewal was missed
        let age = credential.age();
        if found.thawed.is_some_and(|since| since < age)
            && !secret.is_failing()
            && let Ok(renewed) = timeout(MISSED, secret.refresh()).await
        {
            if let Ok(credential) = renewed {
                return Ok(fresh(credential));
            }
            let credential = secret.usable().await?;
            return Ok(self.aged(credential));
        }
        Ok(self.aged(credential))
    }

    fn aged(&self, credential: CredentialGuard) -> Answer {
        let is_stale = credential.age() > self.ttl;
        Answer {
            credential,
            is_stale,
        }
    }

    fn learn(&self, key: &Key, question: &Question, read: &CredentialGuard) {
        let Some(arn) = read.arn() else { return };
        if key.is_of(arn) {
            return;
        }
        let mut held = self.lock();
        held.ids.learn(&question.id, read.name(), arn);
        let (own, entry) = (held.ids.key(question), held.entries.pop(key));
        if let Some(entry) = entry
            && !held.entries.contains(&own)
        {
            held.entries.put(own, entry);
        }
    }

    /// Returns whether the id stood for an ARN, so that to ask for the id itself is another question.
    fn forget(&self, key: &Key, question: &Question) -> bool {
        let mut held = self.lock();
        let was_known = held.ids.forget(&question.id);
        if was_known {
            held.entries.pop(key);
        }
        was_known
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fresh(credential: CredentialGuard) -> Answer {
    Answer {
        credential,
        is_stale: false,
    }
}

/// What the provider said, if it was the provider.
pub fn reason(error: &Error) -> Option<&ProviderError> {
    match error {
        Error::Provider { reason, .. } => Some(reason),
        Error::Expired { last, .. } => last.as_ref(),
        _ => None,
    }
}

fn kind(error: &Error) -> Option<Kind> {
    reason(error).map(ProviderError::kind)
}
