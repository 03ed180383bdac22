//! A provider that reports changes, and one with a cache in front of its store.
#![cfg(test)]

mod common;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use common::*;
use rotating_secret::{
    Attempt, RotatingSecret,
    provider::{Changes, ProviderError, SecretProvider, Stage, Version},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::{Stream, wrappers::UnboundedReceiverStream};

/// A store behind a stale cache: a fetch that bypasses the cache reads the store.
#[derive(Clone)]
struct Behind {
    store: Scripted,
    cache: Scripted,
    told: Arc<std::sync::Mutex<Option<mpsc::UnboundedReceiver<()>>>>,
}

impl Behind {
    fn new() -> (Self, mpsc::UnboundedSender<()>) {
        let (tell, told) = mpsc::unbounded_channel();
        let provider = Self {
            store: Scripted::new("v1"),
            cache: Scripted::new("v1"),
            told: Arc::new(std::sync::Mutex::new(Some(told))),
        };
        (provider, tell)
    }

    async fn secret(&self) -> RotatingSecret {
        let builder = RotatingSecret::builder("orders/db");
        builder.build(self.clone()).await.unwrap()
    }
}

impl SecretProvider for Behind {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        self.cache.fetch(secret, stage).await
    }

    async fn fetch_uncached(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        self.store.fetch(secret, stage).await
    }

    fn changes(&self, _: &str) -> Changes {
        let told = self.told.lock().unwrap().take().unwrap();
        Box::pin(UnboundedReceiverStream::new(told))
    }
}

#[tokio::test(start_paused = true)]
async fn an_announcement_causes_a_request_at_once_and_then_one_a_second() {
    let (provider, tell) = Behind::new();
    let secret = provider.secret().await;
    provider.store.current("v2");
    tell.send(()).unwrap();
    settle().await;
    assert_eq!(secret.current().unwrap().version(), "v2");
    for _ in 0..100 {
        tell.send(()).unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    let asked = provider.store.asked().len();
    assert!((5..=7).contains(&asked), "{asked}");
    assert_eq!(provider.cache.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_its_lifetime_a_secret_is_read_from_the_cache_and_a_search_reads_the_store() {
    let (provider, _tell) = Behind::new();
    let secret = provider.secret().await;
    provider.store.current("v2");
    sleep(6 * MINUTE).await;
    assert_eq!(secret.current().unwrap().version(), "v1");
    assert_eq!(provider.store.asked().len(), 0);

    // the server already has the next password
    let attempt = |credential: rotating_secret::CredentialGuard| async move {
        match credential.version() {
            "v1" => Err(Attempt::Rejected(std::fmt::Error)),
            version => Ok(version.to_owned()),
        }
    };
    assert_eq!(secret.log_in(attempt).await.unwrap(), "v2");
    provider.store.current("v3");
    assert_eq!(secret.refresh().await.unwrap().version(), "v3");
    provider.store.current("v4");
    secret.invalidate("v3");
    assert_eq!(secret.usable().await.unwrap().version(), "v4");
}

/// Panics at the second call.
struct Panics(Scripted, AtomicUsize);

struct Bad(usize);

impl Stream for Bad {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<()>> {
        panic!("as it was told, the {} time", self.0)
    }
}

impl SecretProvider for Panics {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        self.0.fetch(secret, stage).await
    }

    fn changes(&self, _: &str) -> Changes {
        Box::pin(Bad(self.1.fetch_add(1, Ordering::SeqCst)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_announcements_does_not_end_the_secret() {
    let provider = Arc::new(Panics(Scripted::new("v1"), AtomicUsize::new(1)));
    let builder = RotatingSecret::builder("orders/db");
    let secret = builder.build(provider.clone()).await.unwrap();
    settle().await;
    provider.0.current("v2");
    sleep(6 * MINUTE).await;
    assert_eq!(secret.current().unwrap().version(), "v2");
    assert_eq!(provider.1.load(Ordering::SeqCst), 2);
}
