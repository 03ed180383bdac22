//! Credentials that take time to load.
//!
//! A `credential_process` can ask a person, and a role is assumed with a call to another service. A reader of a secret waits
//! for a bounded time only. So the loading is a task: it outlives the question that began it, and the next question waits for
//! the same task.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_credential_types::{
    Credentials,
    provider::{
        ProvideCredentials, Result as Provided, SharedCredentialsProvider, error::CredentialsError,
        future,
    },
};
use tokio::{sync::Mutex, task::JoinHandle, time::timeout};

use crate::causes::in_one_line;

/// What the SDK says about a profile from the second request on, instead of the reason.
const REASON_IS_LOST: &str = "already taken";

/// A load that takes longer is cancelled, and the next request starts it again: its answer may have been lost.
const LONGEST: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Debug)]
pub(super) struct LoadedOnce(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: SharedCredentialsProvider,
    loading: Mutex<Option<JoinHandle<Provided>>>,
    /// Why the first request failed.
    reason: OnceLock<String>,
}

impl LoadedOnce {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Inner {
            provider,
            loading: Mutex::default(),
            reason: OnceLock::new(),
        }))
    }
}

impl Inner {
    async fn load(&self) -> Provided {
        let mut loading = self.loading.lock().await;
        // a task that nobody waited for may have ended long ago
        let is_left = loading.as_ref().is_some_and(JoinHandle::is_finished);
        let loaded = self.wait(&mut loading).await;
        if is_left && !loaded.as_ref().is_ok_and(is_fresh) {
            return self.wait(&mut loading).await;
        }
        loaded
    }

    async fn wait(&self, loading: &mut Option<JoinHandle<Provided>>) -> Provided {
        let task = loading.get_or_insert_with(|| {
            let provider = self.provider.clone();
            tokio::spawn(async move {
                let loaded = timeout(LONGEST, provider.provide_credentials()).await;
                loaded.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(LONGEST)))
            })
        });
        // if this future is dropped here, the task continues
        let loaded = task.await;
        *loading = None;
        let loaded = loaded.unwrap_or_else(|error| Err(CredentialsError::unhandled(error)));
        loaded.map_err(|error| self.with_reason(error))
    }

    fn with_reason(&self, error: CredentialsError) -> CredentialsError {
        let said = in_one_line(&error);
        let reason = self.reason.get_or_init(|| said.clone());
        if said.ends_with(REASON_IS_LOST) {
            return CredentialsError::invalid_configuration(reason.clone());
        }
        error
    }
}

fn is_fresh(credentials: &Credentials) -> bool {
    let expiry = credentials.expiry();
    expiry.is_none_or(|expiry| expiry > std::time::SystemTime::now())
}

impl ProvideCredentials for LoadedOnce {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.0.load())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.0.provider.fallback_on_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Poll, Waker},
    };

    use super::*;

    /// Fails the first time.
    #[derive(Debug, Default)]
    struct OnceDown(AtomicUsize);

    impl ProvideCredentials for OnceDown {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Err(CredentialsError::provider_error("down")),
                _ => Ok(Credentials::new("id", "key", None, None, "test")),
            })
        }
    }

    #[tokio::test]
    async fn a_failure_without_a_waiting_caller_is_not_reported_later() {
        let provider = SharedCredentialsProvider::new(OnceDown::default());
        let loaded_once = LoadedOnce::new(provider);
        {
            let given_up = pin!(loaded_once.0.load());
            let asked = given_up.poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(asked, Poll::Pending));
        }
        tokio::task::yield_now().await;
        assert!(loaded_once.0.load().await.is_ok());
    }
}
