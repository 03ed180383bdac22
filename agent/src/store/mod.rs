//! The cached secrets: one entry for each version that someone reads, with any spelling of its secret.
//!
//! An entry is a [`RotatingSecret`]: it renews itself, asks once for all waiting readers, and serves in an outage up to its bound. This
//! module has the rules for many entries: how many, how long an unread one is renewed, and which spellings are one secret.

mod checked;
mod held;
mod ids;
mod pulse;
mod roles;

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rotating_secret::{
    BuildError, CredentialGuard, Error, RotatingSecret,
    provider::{Aws, ProviderError, ProviderErrorKind as Kind, Selector},
};
use tokio::time::timeout;

use self::held::{Found, Held};
pub(crate) use self::{checked::Checked, ids::names};
pub use self::{pulse::BETWEEN, roles::Stores};
use crate::settings::Settings;

/// How long a first read waits for an outage to end.
const FIRST: Duration = Duration::from_secs(2);

/// How long a reader waits for a renewal that a freeze has delayed.
const MISSED: Duration = Duration::from_secs(2);

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// A name, an ARN, or an ARN without its last six characters.
    pub id: String,
    /// Which version; AWSCURRENT where nothing is selected.
    pub selector: Selector,
    /// Whether to ask Secrets Manager first.
    pub refresh: bool,
    /// The role to read with; the agent's own credentials if not set.
    pub role: Option<String>,
}

/// The result of a read.
#[derive(Debug)]
pub struct Answer {
    /// The version.
    pub credential: CredentialGuard,
    /// How long ago it was confirmed.
    pub age: Duration,
    /// It is older than its lifetime, because Secrets Manager gives no answer.
    pub is_stale: bool,
}

/// The cache of one caller of Secrets Manager.
pub struct Store {
    aws: Aws,
    ttl: Duration,
    overlap_window: Duration,
    idle: Duration,
    stale_on_error: bool,
    held: Mutex<Held>,
}

impl Store {
    /// An empty cache.
    pub fn new(aws: Aws, settings: &Settings) -> Self {
        let size = NonZeroUsize::new(settings.cache_size).unwrap_or(NonZeroUsize::MIN);
        Self {
            aws,
            ttl: settings.ttl,
            overlap_window: settings.overlap_window,
            idle: settings.idle,
            stale_on_error: settings.stale_on_error,
            held: Mutex::new(Held::new(size)),
        }
    }

    /// The version, if it can be served without a wait: it is within its lifetime, and known to be of this question's secret.
    pub fn cached(&self, question: &Question) -> Option<Answer> {
        if question.refresh {
            return None;
        }
        let found = self.lock().find(question)?;
        let (credential, age) = found.secret.usable_now()?;
        let answer = self.aged(credential, age);
        let credential = &answer.credential;
        let is_known = found.is_known_as(credential.arn()) && is_of(question, credential);
        (is_known && !answer.is_stale).then_some(answer)
    }

    /// Returns the version, from the cache if it is there.
    ///
    /// # Errors
    ///
    /// Secrets Manager refuses it, or gives no answer and the cache has no version.
    pub async fn read(&self, question: &Question) -> Result<Answer, Error> {
        let mut found = self.entry(question)?;
        let mut read = self.ask(&found, question.refresh).await;
        let is_another = match &read {
            Ok(answer) => !is_of(question, &answer.credential),
            Err(error) => kind(error) == Some(Kind::NotFound) && found.key.is_current(),
        };
        // the secret of this id is gone; the id may now mean another secret
        if is_another && self.lock().forget(&found, &question.id) {
            found = self.entry(question)?;
            read = self.ask(&found, question.refresh).await;
        }
        let answer = read?;
        let credential = &answer.credential;
        if !found.is_known_as(credential.arn()) {
            let mut held = self.lock();
            held.serve(&found, &question.id, credential.name(), credential.arn());
        }
        Ok(answer)
    }

    /// Waits until another version of this question's secret may be current than this one. It counts as a read.
    ///
    /// # Errors
    ///
    /// The secret is not renewed any more.
    pub async fn changed(&self, question: &Question, version: &str) -> Result<(), Error> {
        let secret = self.entry(question)?.secret;
        secret.changed_from(version).await.map(drop)
    }

    /// Readers of this secret share its handle from now on, in any spelling.
    pub fn adopt(&self, secret: &RotatingSecret) {
        self.lock().adopt(secret);
    }

    /// Records that the process runs. Call it every [`BETWEEN`].
    pub fn feel(&self) {
        self.lock().feel();
    }

    /// Drops entries that nobody reads, which ends their renewal.
    pub fn sweep(&self) {
        self.lock().sweep(self.idle);
    }

    /// How many versions are held.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// How long ago the oldest version was confirmed, if one is held.
    pub fn oldest(&self) -> Option<Duration> {
        self.lock().oldest()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entry(&self, question: &Question) -> Result<Found, Error> {
        let begun = self.lock().entry(question, || self.begin(question));
        begun.map_err(|error| match error {
            BuildError::First(error) => error,
            error => Error::Provider {
                secret: question.id.as_str().into(),
                reason: ProviderError::new(Kind::Invalid, error.to_string()),
            },
        })
    }

    fn begin(&self, question: &Question) -> Result<RotatingSecret, BuildError> {
        let selected = self.aws.select(question.selector.clone());
        RotatingSecret::builder(&question.id)
            .ttl(self.ttl)
            .overlap_window(self.overlap_window)
            .unlabelled()
            .end_when_refused()
            .build_unread(Checked(selected))
    }

    async fn ask(&self, found: &Found, refresh: bool) -> Result<Answer, Error> {
        let secret = &found.secret;
        if refresh {
            return secret.refresh().await.map(fresh);
        }
        let credential = match secret.usable().await {
            Ok(credential) => credential,
            // the first read of all: its entry keeps asking
            Err(error) if kind(&error).is_some_and(Kind::is_transient) => {
                match timeout(FIRST, secret.changed_from("")).await {
                    Ok(read) => read?,
                    Err(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let age = credential.age();
        let answer = self.aged(credential, age);
        if !answer.is_stale {
            return Ok(answer);
        }
        if !self.stale_on_error {
            return secret.refresh().await.map(fresh);
        }
        // the version is from before a freeze, which has delayed its renewal
        if found.thawed.is_some_and(|since| since < answer.age)
            && !secret.is_failing()
            && let Ok(renewed) = timeout(MISSED, secret.refresh()).await
        {
            if let Ok(credential) = renewed {
                return Ok(fresh(credential));
            }
            let credential = secret.usable().await?;
            let age = credential.age();
            return Ok(self.aged(credential, age));
        }
        Ok(answer)
    }

    fn aged(&self, credential: CredentialGuard, age: Duration) -> Answer {
        Answer {
            credential,
            age,
            is_stale: age > self.ttl,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of(question: &Question, read: &CredentialGuard) -> bool {
    ids::is_of(&question.id, read.name(), read.arn())
}

fn fresh(credential: CredentialGuard) -> Answer {
    Answer {
        age: credential.age(),
        credential,
        is_stale: false,
    }
}

/// The provider's error, if the error came from the provider.
pub fn reason(error: &Error) -> Option<&ProviderError> {
    match error {
        Error::Provider { reason, .. } => Some(reason),
        Error::Expired { last, .. } => last.as_ref(),
        _ => None,
    }
}

/// Its kind, if the error came from the provider.
pub(crate) fn kind(error: &Error) -> Option<Kind> {
    reason(error).map(ProviderError::kind)
}
