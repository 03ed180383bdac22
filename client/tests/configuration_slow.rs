//! Slow credentials: a `credential_process` that asks a person, a role that is assumed. The time limit for a region that
//! does not answer does not apply to them.
#![cfg(feature = "aws")]
#![cfg(test)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, future},
};
use local::world::{Options, World};
use rotating_secret::{
    RotatingSecret,
    provider::{Aws, ProviderError, SecretProvider, Stage, Version},
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle, time};

/// Credentials that are ready when the test says so.
#[derive(Clone, Debug)]
struct Slow {
    ready: watch::Receiver<bool>,
    asked: Arc<AtomicUsize>,
}

impl ProvideCredentials for Slow {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut ready = self.ready.clone();
        future::ProvideCredentials::new(async move {
            ready.wait_for(|ready| *ready).await.unwrap();
            Ok(Credentials::new("local", "local", None, None, "slow"))
        })
    }
}

/// Counts its calls.
struct Counted(Aws, Arc<AtomicUsize>);

impl SecretProvider for Counted {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.fetch(secret, stage).await
    }
}

struct Setting {
    world: World,
    provider: Aws,
    ready: watch::Sender<bool>,
    asked: Arc<AtomicUsize>,
    /// Tokio's paused clock does not advance by itself while a blocking task runs.
    _clock: (mpsc::Sender<()>, JoinHandle<()>),
}

/// With the clock paused: only the test advances it.
async fn setting() -> Setting {
    let world = World::start(Options::new("none")).await.unwrap();
    let input = json!({ "Name": "orders/db", "SecretString": "x" });
    let created = world.secrets_manager().call("CreateSecret", input).await;
    created.unwrap();
    let (ready, is_ready) = watch::channel(false);
    let asked = Arc::new(AtomicUsize::new(0));
    let slow = Slow {
        ready: is_ready,
        asked: asked.clone(),
    };
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(world.endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(SharedCredentialsProvider::new(slow))
        .build();
    let (end, ended) = mpsc::channel::<()>();
    let held = tokio::task::spawn_blocking(move || {
        let _ = ended.recv();
    });
    time::pause();
    Setting {
        world,
        provider: Aws::from_config(shared),
        ready,
        asked,
        _clock: (end, held),
    }
}

impl Setting {
    /// Waits until the credentials are being loaded.
    async fn is_asked(&self) {
        while self.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn slow_credentials_are_waited_for_longer_than_a_region() {
    let setting = setting().await;
    let provider = setting.provider.clone();
    let read = tokio::spawn(async move { provider.fetch("orders/db", Stage::Current).await });
    setting.is_asked().await;
    time::advance(Duration::from_secs(4)).await;
    setting.ready.send_replace(true);
    read.await.unwrap().unwrap();
    assert_eq!(setting.world.secrets_manager().calls().len(), 1);
}

#[tokio::test]
async fn credentials_slower_than_a_request_are_loaded_once_and_the_next_request_uses_them() {
    let setting = setting().await;
    let questions = Arc::new(AtomicUsize::new(0));
    let provider = Counted(setting.provider.clone(), questions.clone());
    let built = tokio::spawn(RotatingSecret::builder("orders/db").build(provider));
    setting.is_asked().await;
    // the first fetch is given up, and another one starts
    while questions.load(Ordering::SeqCst) < 2 {
        time::advance(Duration::from_millis(100)).await;
        common::settle().await;
    }
    setting.ready.send_replace(true);
    built.await.unwrap().unwrap();
    assert_eq!(setting.asked.load(Ordering::SeqCst), 1);
}

/// The answer to its first request was lost.
#[derive(Clone, Debug, Default)]
struct LostOnce(Arc<AtomicUsize>);

impl ProvideCredentials for LostOnce {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let is_first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        future::ProvideCredentials::new(async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok(Credentials::new("local", "local", None, None, "lost once"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_answer_was_lost_is_started_again_after_a_while() {
    let credentials = LostOnce::default();
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://127.0.0.1:9") // no listener
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .build();
    let builder = RotatingSecret::builder("orders/db").start_timeout(Duration::from_secs(3600));
    let built = builder.build(Aws::from_config(shared)).await;
    assert!(built.is_err());
    assert!(credentials.0.load(Ordering::SeqCst) > 1);
}
