//! Loads credentials on a thread of its own.
//!
//! The SDK reads its files on the thread that asks (`Fs::read_to_end` of `aws-types` says so). The agent has one thread: a file on a
//! server that does not answer would stop all readers.

use std::sync::Arc;

use aws_credential_types::provider::{
    ProvideCredentials, Result as Provided, SharedCredentialsProvider, error::CredentialsError,
    future,
};
use tokio::{runtime::Handle, sync::Mutex, task::spawn_blocking};

/// Credentials of this provider.
#[derive(Debug)]
pub(super) struct Elsewhere {
    provider: SharedCredentialsProvider,
    /// Held while a thread loads: one that hangs is the only one.
    loads: Arc<Mutex<()>>,
}

impl Elsewhere {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self {
            provider,
            loads: Arc::default(),
        }
    }

    /// The SDK gives it some seconds.
    async fn load(&self) -> Provided {
        let alone = self.loads.clone().lock_owned().await;
        let provider = self.provider.clone();
        let loaded = spawn_blocking(move || {
            let loaded = Handle::current().block_on(provider.provide_credentials());
            drop(alone);
            loaded
        });
        loaded
            .await
            .unwrap_or_else(|error| Err(CredentialsError::provider_error(error)))
    }
}

impl ProvideCredentials for Elsewhere {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
