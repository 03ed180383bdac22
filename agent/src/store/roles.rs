//! `roleArn`: a cache for each role, apart from the cache of the agent's own credentials.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use rotating_secret::{
    Error,
    provider::{ProviderError, ProviderErrorKind as Kind, Refusal},
};
use tokio::time::{Instant, timeout};

use super::{Answer, Question, Store};
use crate::{followed::Followed, settings::Settings, upstream::Upstream};

/// How long AssumeRole may take.
const ASSUMED: Duration = Duration::from_secs(10);

/// How long a refused role is not tried again.
const REFUSED: Duration = Duration::from_secs(10);

/// How many refusals are remembered.
const REFUSALS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// All caches.
pub struct Stores {
    upstream: Upstream,
    settings: Settings,
    own: Arc<Store>,
    roles: Mutex<HashMap<String, Arc<Store>>>,
    /// Assumes one role at a time: STS has a limit for the whole account, and callers choose the roles. Holds the time of each refusal.
    assuming: tokio::sync::Mutex<LruCache<String, Instant>>,
}

impl Stores {
    /// Empty caches.
    pub fn new(upstream: Upstream, settings: &Settings) -> Self {
        Self {
            own: Arc::new(Store::new(upstream.aws(), settings)),
            upstream,
            settings: settings.clone(),
            roles: Mutex::default(),
            assuming: tokio::sync::Mutex::new(LruCache::new(REFUSALS)),
        }
    }

    /// As for [`Store::cached`].
    pub fn cached(&self, question: &Question) -> Option<Answer> {
        match &question.role {
            None => self.own.cached(question),
            Some(role) => self.roles().get(role)?.cached(question),
        }
    }

    /// Returns the version, read with the role of the question.
    ///
    /// # Errors
    ///
    /// As for [`Store::read`]. Or the role was not assumed, or `max_roles` roles are in use.
    pub async fn read(&self, question: &Question) -> Result<Answer, Error> {
        self.of(question).await?.read(question).await
    }

    /// As for [`Store::changed`].
    ///
    /// # Errors
    ///
    /// The secret is not renewed any more, or the role was not assumed.
    pub async fn changed(&self, question: &Question, version: &str) -> Result<(), Error> {
        self.of(question).await?.changed(question, version).await
    }

    /// Readers with the agent's own credentials share the handles of these secrets.
    pub fn adopt(&self, followed: &Followed) {
        followed.all().for_each(|secret| self.own.adopt(secret));
    }

    /// The names of at most `most` secrets that have a tag with this key.
    ///
    /// # Errors
    ///
    /// They cannot be listed, or the role was not assumed.
    pub async fn tagged(
        &self,
        key: &str,
        role: Option<&str>,
        most: usize,
    ) -> Result<Vec<String>, String> {
        match role {
            None => self.upstream.tagged(key, most).await,
            Some(role) => self.upstream.of_role(role).await?.tagged(key, most).await,
        }
    }

    /// How many versions all caches hold, and how long ago the oldest one was confirmed.
    pub fn held(&self) -> (usize, Duration) {
        let stores: Vec<_> = self.all().collect();
        let oldest = stores.iter().filter_map(|store| store.oldest()).max();
        (
            stores.iter().map(|store| store.len()).sum(),
            oldest.unwrap_or_default(),
        )
    }

    /// As for [`Store::feel`].
    pub fn feel(&self) {
        self.all().for_each(|store| store.feel());
    }

    /// As for [`Store::sweep`].
    pub fn sweep(&self) {
        self.all().for_each(|store| store.sweep());
    }

    fn all(&self) -> impl Iterator<Item = Arc<Store>> {
        let roles: Vec<_> = self.roles().values().cloned().collect();
        roles.into_iter().chain([self.own.clone()])
    }

    async fn of(&self, question: &Question) -> Result<Arc<Store>, Error> {
        match &question.role {
            None => Ok(self.own.clone()),
            Some(role) => self.of_role(role).await.map_err(|reason| Error::Provider {
                secret: question.id.as_str().into(),
                reason,
            }),
        }
    }

    async fn of_role(&self, role: &str) -> Result<Arc<Store>, ProviderError> {
        if let Some(store) = self.roles().get(role) {
            return Ok(store.clone());
        }
        let mut refused = self.assuming.lock().await;
        // another request was faster
        if let Some(store) = self.roles().get(role) {
            return Ok(store.clone());
        }
        if refused.get(role).is_some_and(|at| at.elapsed() < REFUSED) {
            return Err(not_assumed(role));
        }
        let most = self.settings.roles;
        if self.roles().len() >= most {
            let text = format!("{most} roles are in use, and max_roles allows no more");
            return Err(refusal(400, "MaxRolesExceeded", text));
        }
        let assumed = timeout(ASSUMED, self.upstream.of_role(role)).await;
        let reason = match assumed {
            Ok(Ok(upstream)) => {
                let store = Arc::new(Store::new(upstream.aws(), &self.settings));
                self.roles().insert(role.to_owned(), store.clone());
                return Ok(store);
            }
            Ok(Err(reason)) => reason,
            Err(_) => "STS gives no answer".to_owned(),
        };
        tracing::warn!(
            role,
            reason,
            "the role was not assumed: check its trust policy and the agent's right to sts:AssumeRole"
        );
        refused.put(role.to_owned(), Instant::now());
        Err(not_assumed(role))
    }

    fn roles(&self) -> MutexGuard<'_, HashMap<String, Arc<Store>>> {
        self.roles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of AWS's agent.
fn not_assumed(role: &str) -> ProviderError {
    let text = format!("Failed to create caching client from role: {role}");
    refusal(403, "AccessDeniedException", text)
}

fn refusal(status: u16, code: &str, text: String) -> ProviderError {
    let refusal = Refusal::new(status, code, Some(text.clone()));
    ProviderError::new(Kind::AccessDenied, text).with_refusal(refusal)
}
