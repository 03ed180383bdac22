//! How a secret is set up, and its first fetch.

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder;
use rotating_secret_document::FieldNames;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    credential::{Asked, Credential, Source},
    error::{BuildError, Error},
    lifetime::{self, Lifetime},
    provider::{Previous, ProviderError, ProviderErrorKind, SecretProvider, Stage, Version},
    refresh::{self, Refresher, Settings},
    secret::RotatingSecret,
    slot::Shared,
};

/// Settings of a secret. See [`RotatingSecret::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is fetched before build"]
pub struct Builder {
    secret: Arc<str>,
    ttl: Option<Duration>,
    overlap_window: Duration,
    fetch_timeout: Duration,
    start_timeout: Duration,
    lag: Duration,
    names: FieldNames,
    keeps_previous: bool,
    labelled: bool,
    ends_when_refused: bool,
}

/// The longest duration: a longer setting means forever, and no clock counts further.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

impl RotatingSecret {
    /// Begins the setup of a secret, with its id as the provider names it.
    pub fn builder(secret: impl Into<String>) -> Builder {
        Builder::new(secret.into())
    }
}

impl Builder {
    fn new(secret: String) -> Self {
        Self {
            secret: secret.into(),
            ttl: None,
            overlap_window: Duration::from_secs(24 * 60 * 60),
            fetch_timeout: Duration::from_secs(5),
            start_timeout: Duration::from_secs(15),
            lag: Duration::from_secs(5),
            names: FieldNames::RDS,
            keeps_previous: false,
            labelled: true,
            ends_when_refused: false,
        }
    }

    /// How long a version is used before the provider is asked again. It must be below the overlap window.
    ///
    /// The default is 5 minutes, and an hour while `postgres::listen` has a session on which the database announces changes (at
    /// most half of the overlap window). For the cost, see the crate's documentation, "What asking costs".
    pub fn ttl(self, ttl: Duration) -> Self {
        let ttl = Some(ttl.min(FOREVER));
        Self { ttl, ..self }
    }

    /// The names of a login's fields in the document, if they are not RDS's.
    ///
    /// ```
    /// use rotating_secret::{FieldNames, RotatingSecret};
    ///
    /// let names = FieldNames { username: "DB_USER", password: "DB_PASS", ..FieldNames::RDS };
    /// let builder = RotatingSecret::builder("orders/db").field_names(names);
    /// ```
    pub fn field_names(self, names: FieldNames) -> Self {
        Self { names, ..self }
    }

    /// Keeps the version before the current one too, if the store has it: [`Credential::previous`].
    ///
    /// Each renewal is then two questions, and the provider must allow the second: with IAM, `GetSecretValue` without a
    /// condition on AWSCURRENT. If AWSPREVIOUS cannot be read, and the store does not say that it is absent,
    /// [`build`](Self::build) fails; a renewal keeps the previous version that is known, as [`Credential::previous`] says.
    pub fn keep_previous(self) -> Self {
        Self {
            keeps_previous: true,
            ..self
        }
    }

    /// Metrics without the label `secret`, and without the age: for a program that does not choose the ids that it reads. A label for
    /// each id would grow without a bound.
    pub fn unlabelled(self) -> Self {
        let labelled = false;
        Self { labelled, ..self }
    }

    /// Drops the current version when the store says that the secret is denied, deleted or not readable. Without this setting it is
    /// served up to its bound, because a mistake in a policy must not stop an application that logs in with a good password.
    pub fn end_when_refused(self) -> Self {
        let ends_when_refused = true;
        Self {
            ends_when_refused,
            ..self
        }
    }

    /// How long the old credential stays valid after a rotation; 24 hours by default, as in the rotation function.
    ///
    /// The document may announce a shorter window (`overlap_seconds`), which then counts. Under single user there is no
    /// overlap: a rejected login shows the change, and this setting only limits how long an unreachable provider is tolerated.
    pub fn overlap_window(self, overlap_window: Duration) -> Self {
        Self {
            overlap_window: overlap_window.min(FOREVER),
            ..self
        }
    }

    /// How long one question to the provider may take; 5 seconds by default.
    pub fn fetch_timeout(self, fetch_timeout: Duration) -> Self {
        Self {
            fetch_timeout: fetch_timeout.min(FOREVER),
            ..self
        }
    }

    /// How long the first fetch is repeated while the provider throttles or is unreachable; 15 seconds by default.
    pub fn start_timeout(self, start_timeout: Duration) -> Self {
        Self {
            start_timeout: start_timeout.min(FOREVER),
            ..self
        }
    }

    /// How far a read of the store may lag behind its last write; 5 seconds by default. A replica region needs more if its
    /// replication takes longer.
    ///
    /// For this long, a rejected login waits for the version that the server already has and the store does not; a version that
    /// was replaced does not become current again; and a version that a notification named is looked for.
    pub fn lag(self, lag: Duration) -> Self {
        Self {
            lag: lag.min(FOREVER),
            ..self
        }
    }

    /// Fetches the current version, and starts the task that renews it, on the caller's runtime.
    ///
    /// # Errors
    ///
    /// The settings contradict each other, or there is no first version.
    pub async fn build(self, provider: impl SecretProvider) -> Result<RotatingSecret, BuildError> {
        let (lifetime, runtime) = (self.lifetime()?, runtime()?);
        let (first, asked) = self.first(&provider).await?;
        Ok(self.start(provider, &runtime, lifetime, first, asked))
    }

    /// Starts without a first version. [`usable`](RotatingSecret::usable) reads it, with one question for all waiting callers.
    /// Until then [`current`](RotatingSecret::current) is [`Error::Unread`].
    ///
    /// # Errors
    ///
    /// The settings contradict each other.
    pub fn build_unread(self, provider: impl SecretProvider) -> Result<RotatingSecret, BuildError> {
        let (lifetime, runtime) = (self.lifetime()?, runtime()?);
        let nothing = Version::text("", "");
        let secret = self.start(provider, &runtime, lifetime, nothing, Asked::now());
        let unread = Error::Unread {
            secret: secret.shared.id.clone(),
        };
        secret.shared.withdraw(|_| unread);
        Ok(secret)
    }

    /// Builds several secrets of one provider, in the given order, with as few calls as it allows for the first versions.
    ///
    /// # Errors
    ///
    /// As for [`build`](Self::build), for the first secret that fails; then none is started.
    pub async fn build_all(
        builders: impl IntoIterator<Item = Self>,
        provider: impl SecretProvider + Clone,
    ) -> Result<Vec<RotatingSecret>, BuildError> {
        let runtime = runtime()?;
        let builders: Vec<Self> = builders.into_iter().collect();
        let ids: Vec<&str> = builders.iter().map(|builder| &*builder.secret).collect();
        let limit = builders.iter().map(|builder| builder.fetch_timeout).max();
        let asked = Asked::now();
        let fetch = async { Ok(provider.fetch_all(&ids).await) };
        let (mut versions, missing) =
            match refresh::answered(limit.unwrap_or_default(), fetch).await {
                Ok(versions) => (versions, unanswered()),
                Err(error) => (Vec::new(), error),
            };
        // a provider that keeps the order and the number of the ids loses nothing by this
        versions.resize_with(builders.len(), || Err(missing.clone()));

        let mut firsts = Vec::with_capacity(builders.len());
        for (builder, version) in builders.iter().zip(versions) {
            let lifetime = builder.lifetime()?;
            let (first, asked) = match version {
                Ok(version) if !builder.keeps_previous => (version, asked),
                // a batch has no previous versions
                Ok(_) => builder.first(&provider).await?,
                Err(error) if error.kind().is_transient() => builder.first(&provider).await?,
                Err(error) => return Err(builder.failed(error)),
            };
            firsts.push((lifetime, first, asked));
        }
        let start = |(builder, (lifetime, first, asked)): (Self, _)| {
            builder.start(provider.clone(), &runtime, lifetime, first, asked)
        };
        Ok(builders.into_iter().zip(firsts).map(start).collect())
    }

    fn label(&self) -> Option<Arc<str>> {
        self.labelled.then(|| self.secret.clone())
    }

    fn lifetime(&self) -> Result<Lifetime, BuildError> {
        Lifetime::new(self.ttl.unwrap_or(lifetime::USUAL), self.overlap_window)
    }

    /// The first version. It is asked for until there is one or the time is up.
    async fn first(&self, provider: &impl SecretProvider) -> Result<(Version, Asked), BuildError> {
        let deadline = Instant::now() + self.start_timeout;
        let mut delays = refresh::backoff().build();
        let fetch = |stage| async move {
            let asked = Asked::now();
            let fetch = async { provider.fetch(&self.secret, stage).await };
            let answer = refresh::answered(self.fetch_timeout, fetch).await;
            refresh::count(self.label().as_ref(), stage, answer.as_ref().err());
            answer.map(|version| (version, asked))
        };
        loop {
            let error = match refresh::current(self.keeps_previous, fetch).await {
                Ok((version, asked)) => match version.previous {
                    // nothing is known of it yet, and a verifier without it would refuse valid signatures
                    Previous::Unread(error) => error,
                    _ => return Ok((version, asked)),
                },
                Err(error) => error,
            };
            let delay = delays.next().unwrap_or(refresh::LONGEST_DELAY);
            if !error.kind().is_transient() || Instant::now() + delay >= deadline {
                return Err(self.failed(error));
            }
            tracing::warn!(secret = %self.secret, %error, ?delay, "the first version was not read: asking again");
            sleep(delay).await;
        }
    }

    fn start(
        self,
        provider: impl SecretProvider,
        runtime: &Handle,
        lifetime: Lifetime,
        first: Version,
        asked: Asked,
    ) -> RotatingSecret {
        let source = Arc::new(Source {
            secret: self.secret.clone(),
            names: self.names,
        });
        let first = Credential::new(&source, first, Stage::Current, asked);
        let settings = Settings {
            lifetime,
            while_announced: match self.ttl {
                Some(_) => lifetime,
                None => lifetime.while_announced(),
            },
            fetch_timeout: self.fetch_timeout,
            keeps_previous: self.keeps_previous,
            ends_when_refused: self.ends_when_refused,
        };
        let label = self.label();
        let (shared, tell) = Shared::new(self.secret, label, self.lag, first, lifetime.bound);
        let shared = Arc::new(shared);
        let (asks, questions) = mpsc::unbounded_channel();
        let refresher = Refresher::new(provider, source, shared.clone(), tell, questions, settings);
        let task = runtime.spawn(refresher.run()).abort_handle();
        RotatingSecret::new(shared, asks, task)
    }

    fn failed(&self, reason: ProviderError) -> BuildError {
        let secret = self.secret.clone();
        BuildError::First(Error::Provider { secret, reason })
    }
}

fn unanswered() -> ProviderError {
    let message =
        "the provider answered for fewer secrets than it was asked for: see its fetch_all";
    ProviderError::new(ProviderErrorKind::Invalid, message)
}

fn runtime() -> Result<Handle, BuildError> {
    Handle::try_current().map_err(|_| BuildError::NoRuntime)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::provider::Fixed;

    /// A secret whose first version was fetched two days ago by the wall's clock, and just now by the runtime's: the machine
    /// was suspended in between.
    fn after_a_suspend(provider: &Fixed) -> RotatingSecret {
        let builder = RotatingSecret::builder("orders/db");
        let lifetime = builder.lifetime().unwrap();
        let asked = Asked {
            by_the_wall: SystemTime::now() - Duration::from_secs(48 * 60 * 60),
            ..Asked::now()
        };
        let runtime = runtime().unwrap();
        let first = Version::text("v1", "{}");
        builder.start(provider.clone(), &runtime, lifetime, first, asked)
    }

    #[tokio::test]
    async fn usable_returns_no_credential_past_its_bound_on_the_wall_clock() {
        let provider = Fixed::new().with("orders/db", Version::text("v2", "{}"));
        let secret = after_a_suspend(&provider);
        let read = secret.current().unwrap();
        assert_eq!(read.version(), "v1", "a read reads no clock");
        assert!(read.age() > Duration::from_secs(47 * 60 * 60));
        assert_eq!(secret.usable().await.unwrap().version(), "v2");
    }

    #[tokio::test]
    async fn past_its_bound_a_credential_is_expired_if_the_provider_does_not_answer() {
        let secret = after_a_suspend(&Fixed::new());
        assert!(secret.usable().await.is_err());
        let error = secret.current().unwrap_err();
        assert!(matches!(error, Error::Expired { .. }), "{error}");
    }
}
