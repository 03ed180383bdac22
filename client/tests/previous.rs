//! The previous version: a key that no longer signs, but still verifies.
#![cfg(feature = "aws")]
#![cfg(test)]

mod common;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use common::{
    stores::{begin_tracing, traced},
    *,
};
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

    /// Makes another key AWSCURRENT, and the one before it AWSPREVIOUS.
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

/// The key that signs and the keys that verify.
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
    // a process that starts now has both too
    let other = store.secret().await;
    assert_eq!(keys(&other), pair("key 3", Some("key 2")));
}

#[tokio::test]
async fn a_secret_without_the_previous_version_makes_one_request() {
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
async fn a_key_that_loses_its_label_after_a_leak_no_longer_verifies() {
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

/// Another version is promoted just before the first fetch of AWSPREVIOUS.
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
async fn a_rotation_between_the_two_requests_loses_no_key() {
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
async fn both_keys_are_renewed_together_and_both_end_at_the_bound() {
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

/// AWSCURRENT can be read; AWSPREVIOUS fails like this.
#[derive(Clone)]
struct Unreadable(Fixed, Arc<Mutex<Option<Kind>>>);

impl Unreadable {
    fn new(fixed: Fixed) -> Self {
        Self(fixed, Arc::default())
    }

    fn fail(&self, kind: impl Into<Option<Kind>>) {
        *self.1.lock().unwrap() = kind.into();
    }
}

impl SecretProvider for Unreadable {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let failing = *self.1.lock().unwrap();
        match failing {
            Some(kind) if stage == Stage::Previous => Err(error(kind)),
            _ => self.0.fetch(secret, stage).await,
        }
    }
}

const NOT_ABSENT: [Kind; 4] = [
    Kind::Throttled,
    Kind::Unavailable,
    Kind::AccessDenied,
    Kind::Invalid,
];

#[tokio::test(start_paused = true)]
async fn a_previous_version_that_cannot_be_read_stays_and_the_current_one_is_renewed() {
    begin_tracing();
    for kind in NOT_ABSENT {
        let provider = Unreadable::new(fixed());
        let builder = keeping().ttl(MINUTE).overlap_window(10 * MINUTE);
        let secret = builder.build(provider.clone()).await.unwrap();
        let warnings = || traced().matches("AWSPREVIOUS was not read").count();
        let before = warnings();
        provider.fail(kind);
        pass(5 * MINUTE).await;
        assert_eq!(keys(&secret), pair("key 2", Some("key 1")), "{kind}");
        assert!(secret.current().unwrap().age() < MINUTE, "{kind}");
        // another version is current, so the former one stays previous while it could have been used
        provider.0.set(KEY, Version::text("v3", "key 3"));
        pass(MINUTE).await;
        assert_eq!(keys(&secret), pair("key 3", Some("key 2")), "{kind}");
        let held = secret.current().unwrap();
        assert_eq!(held.previous().unwrap().stage(), Stage::Previous);
        pass(7 * MINUTE).await;
        assert_eq!(keys(&secret), pair("key 3", Some("key 2")), "{kind}");
        pass(3 * MINUTE).await;
        assert_eq!(keys(&secret), pair("key 3", None), "{kind}");
        assert_eq!(warnings() - before, 1, "{kind}");
        provider.fail(None);
        pass(MINUTE).await;
        assert_eq!(keys(&secret), pair("key 3", Some("key 2")), "{kind}");
        provider.fail(kind);
        pass(MINUTE).await;
        assert_eq!(warnings() - before, 2, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_previous_version_that_the_service_reports_as_absent_is_dropped_at_once() {
    let provider = Unreadable::new(fixed());
    let secret = keeping().build(provider.clone()).await.unwrap();
    provider.fail(Kind::NotFound);
    secret.refresh().await.unwrap();
    assert_eq!(keys(&secret), pair("key 2", None));
    // a failed read does not bring a dropped version back
    provider.fail(Kind::AccessDenied);
    secret.refresh().await.unwrap();
    assert_eq!(keys(&secret), pair("key 2", None));
}

#[tokio::test(start_paused = true)]
async fn a_pending_version_that_was_current_is_not_the_previous_one() {
    let provider = Unreadable::new(fixed());
    let secret = keeping().build(provider.clone()).await.unwrap();
    let pending = Version::text("v3", "key 3");
    provider.0.set_pending(KEY, Some(pending));
    assert_eq!(secret.recover("v2").await.unwrap().version(), "v3");
    provider.fail(Kind::AccessDenied);
    provider.0.set_pending(KEY, None);
    provider.0.set(KEY, Version::text("v4", "key 4"));
    secret.refresh().await.unwrap();
    assert_eq!(keys(&secret), pair("key 4", None));
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_version_is_not_kept_as_the_previous_one() {
    let provider = Unreadable::new(fixed());
    let secret = keeping().build(provider.clone()).await.unwrap();
    provider.fail(Kind::Invalid);
    provider.0.set(KEY, Version::text("v3", "key 3"));
    secret.invalidate("v2");
    secret.usable().await.unwrap();
    assert_eq!(keys(&secret), pair("key 3", None));
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_not_built_while_its_previous_version_is_unknown() {
    for kind in NOT_ABSENT {
        let provider = Unreadable::new(fixed());
        provider.fail(kind);
        let refused = keeping().build(provider).await.unwrap_err();
        let shown = chain(&refused);
        assert!(shown.contains(kind.name()), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_previous_version_lags_is_asked_again_after_the_longest_lag() {
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

/// It returns the current version for every stage.
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
