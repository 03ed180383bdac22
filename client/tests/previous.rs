//! The version before the current one: a key that does not sign any more, and that verifies still.
#![cfg(feature = "aws")]
#![cfg(test)]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use common::*;
use local::world::{Options, World};
use rotating_secret::{
    Builder, Credential, Error, RotatingSecret,
    provider::{
        Aws, Fixed, ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version,
    },
};
use secrecy::ExposeSecret;
use serde_json::json;

const KEY: &str = "shop/signing-key";

/// A Secrets Manager with one key in it.
struct Store(World);

impl Store {
    async fn with(key: &str) -> Self {
        let world = World::start(Options::new("none")).await.unwrap();
        let store = Self(world);
        store
            .call("CreateSecret", json!({ "Name": KEY, "SecretString": key }))
            .await;
        store
    }

    async fn call(&self, operation: &str, input: serde_json::Value) -> serde_json::Value {
        let manager = self.0.secrets_manager();
        manager.call(operation, input).await.unwrap()
    }

    /// Another key is AWSCURRENT from now on, and the one before it is AWSPREVIOUS.
    async fn rotate(&self, key: &str) {
        let input = json!({ "SecretId": KEY, "SecretString": key });
        self.call("PutSecretValue", input).await;
    }

    async fn secret(&self) -> RotatingSecret {
        keeping().build(self.provider()).await.unwrap()
    }

    fn provider(&self) -> Aws {
        Aws::from_clients([self.0.aws()])
    }
}

fn keeping() -> Builder {
    RotatingSecret::builder(KEY).keep_previous()
}

fn key(credential: &Credential) -> &str {
    credential.text().unwrap().expose_secret()
}

/// The keys that sign and that verify still.
fn keys(secret: &RotatingSecret) -> (String, Option<String>) {
    let held = secret.current().unwrap();
    let previous = held.previous().map(|previous| key(previous).to_owned());
    (key(&held).to_owned(), previous)
}

fn pair(current: &str, previous: Option<&str>) -> (String, Option<String>) {
    (current.to_owned(), previous.map(str::to_owned))
}

#[tokio::test]
async fn the_current_key_signs_and_the_one_before_it_verifies_until_the_next_rotation() {
    let store = Store::with("key 1").await;
    let secret = store.secret().await;
    assert_eq!(keys(&secret), pair("key 1", None));
    store.rotate("key 2").await;
    secret.refresh().await.unwrap();
    assert_eq!(keys(&secret), pair("key 2", Some("key 1")));
    store.rotate("key 3").await;
    secret.refresh().await.unwrap();
    assert_eq!(keys(&secret), pair("key 3", Some("key 2")));
    let held = secret.current().unwrap();
    let previous = held.previous().unwrap();
    assert_eq!(previous.stage(), Stage::Previous);
    assert_ne!(previous.version(), held.version());
    assert!(previous.created().unwrap() <= held.created().unwrap());
    // a process that starts only now has both too
    let other = store.secret().await;
    assert_eq!(keys(&other), pair("key 3", Some("key 2")));
}

#[tokio::test]
async fn who_does_not_ask_for_the_previous_version_has_none_and_asks_once() {
    let store = Store::with("key 1").await;
    store.rotate("key 2").await;
    let secret = RotatingSecret::builder(KEY);
    let secret = secret.build(store.provider()).await.unwrap();
    assert_eq!(keys(&secret), pair("key 2", None));
    let calls = store.0.secrets_manager().calls();
    let reads = |call: &&local::secrets_manager::Call| call.operation == "GetSecretValue";
    assert_eq!(calls.iter().filter(reads).count(), 1);
}

#[tokio::test]
async fn a_key_whose_label_is_taken_away_after_a_leak_verifies_no_more() {
    let store = Store::with("key 1").await;
    store.rotate("key 2").await;
    let secret = store.secret().await;
    let leaked = secret
        .current()
        .unwrap()
        .previous()
        .unwrap()
        .version()
        .to_owned();
    let input =
        json!({ "SecretId": KEY, "VersionStage": "AWSPREVIOUS", "RemoveFromVersionId": leaked });
    store.call("UpdateSecretVersionStage", input).await;
    secret.refresh().await.unwrap();
    assert_eq!(keys(&secret), pair("key 2", None));
}

/// Another version is promoted just before the first question for AWSPREVIOUS.
struct Meanwhile {
    store: Arc<Store>,
    promoted: AtomicBool,
}

impl SecretProvider for Meanwhile {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        if stage == Stage::Previous && !self.promoted.swap(true, Ordering::SeqCst) {
            self.store.rotate("key 3").await;
        }
        self.store.provider().fetch(secret, stage).await
    }
}

#[tokio::test]
async fn a_rotation_between_the_two_questions_leaves_no_key_out() {
    let store = Arc::new(Store::with("key 1").await);
    store.rotate("key 2").await;
    let provider = Meanwhile {
        store,
        promoted: AtomicBool::new(false),
    };
    let secret = keeping().build(provider).await.unwrap();
    assert_eq!(keys(&secret), pair("key 3", Some("key 2")));
}

#[tokio::test]
async fn several_secrets_that_are_built_together_have_their_previous_versions() {
    let store = Store::with("key 1").await;
    store.rotate("key 2").await;
    let input = json!({ "Name": "shop/other", "SecretString": "other" });
    store.call("CreateSecret", input).await;
    let builders = [keeping(), RotatingSecret::builder("shop/other")];
    let secrets = Builder::build_all(builders, store.provider())
        .await
        .unwrap();
    assert_eq!(keys(&secrets[0]), pair("key 2", Some("key 1")));
    assert_eq!(keys(&secrets[1]), pair("other", None));
}

fn fixed() -> Fixed {
    let provider = Fixed::new().with(KEY, Version::text("v1", "key 1"));
    provider.set(KEY, Version::text("v2", "key 2"));
    provider
}

#[tokio::test(start_paused = true)]
async fn both_keys_are_renewed_together_and_past_the_bound_there_is_neither() {
    let provider = fixed();
    let builder = keeping().ttl(MINUTE).overlap_window(10 * MINUTE);
    let secret = builder.build(provider.clone()).await.unwrap();
    provider.set(KEY, Version::text("v3", "key 3"));
    pass(MINUTE).await;
    assert_eq!(keys(&secret), pair("key 3", Some("key 2")));
    provider.fail(Kind::Unavailable);
    pass(8 * MINUTE).await;
    assert_eq!(keys(&secret), pair("key 3", Some("key 2")));
    pass(2 * MINUTE).await;
    assert!(matches!(secret.current(), Err(Error::Expired { .. })));
    provider.recover();
    pass(MINUTE).await;
    assert_eq!(keys(&secret), pair("key 3", Some("key 2")));
}

/// AWSPREVIOUS may not be read; AWSCURRENT may.
#[derive(Clone)]
struct OnlyCurrent(Fixed, Arc<AtomicBool>);

impl SecretProvider for OnlyCurrent {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        match stage {
            Stage::Previous if self.1.load(Ordering::SeqCst) => Err(error(Kind::Throttled)),
            stage => self.0.fetch(secret, stage).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_previous_version_that_cannot_be_read_is_not_taken_for_one_that_is_absent() {
    let (fixed, failing) = (fixed(), Arc::new(AtomicBool::new(false)));
    let provider = OnlyCurrent(fixed.clone(), failing.clone());
    let secret = keeping().build(provider).await.unwrap();
    failing.store(true, Ordering::SeqCst);
    fixed.set(KEY, Version::text("v3", "key 3"));
    let failed = secret.refresh().await.unwrap_err();
    assert!(failed.to_string().contains("throttled"), "{failed}");
    // as it was, and not half of what is new
    assert_eq!(keys(&secret), pair("key 2", Some("key 1")));
    failing.store(false, Ordering::SeqCst);
    pass(MINUTE).await;
    assert_eq!(keys(&secret), pair("key 3", Some("key 2")));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lags_with_the_previous_version_is_asked_again_when_it_cannot_lag_any_more() {
    let provider = fixed();
    let secret = keeping().build(provider.clone()).await.unwrap();
    provider.set(KEY, Version::text("v3", "key 3"));
    provider.set_previous(KEY, Some(Version::text("v1", "key 1")));
    secret.refresh().await.unwrap();
    assert_eq!(keys(&secret), pair("key 3", Some("key 1")));
    provider.set_previous(KEY, Some(Version::text("v2", "key 2")));
    pass(std::time::Duration::from_secs(6)).await;
    assert_eq!(keys(&secret), pair("key 3", Some("key 2")));
}

/// Whatever the stage, it has the current version.
struct NoStages;

impl SecretProvider for NoStages {
    async fn fetch(&self, _: &str, _: Stage) -> Result<Version, ProviderError> {
        Ok(version("v1"))
    }
}

#[tokio::test]
async fn a_store_that_answers_every_stage_with_the_current_version_has_no_previous_one() {
    let secret = keeping().build(NoStages).await.unwrap();
    assert!(secret.current().unwrap().previous().is_none());
}

#[tokio::test(start_paused = true)]
async fn neither_debug_nor_a_dropped_version_shows_the_previous_key() {
    let provider = fixed();
    let secret = keeping().build(provider).await.unwrap();
    let shown = format!("{:?} {secret:?}", secret.current().unwrap());
    assert!(!shown.contains("key 1"), "{shown}");
    secret.invalidate("v2");
    assert!(matches!(secret.current(), Err(Error::Invalidated { .. })));
}
