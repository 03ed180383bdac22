//! Two caches of the same secret, warm, and the store that one of them asks.

use std::{
    hint::black_box,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_secretsmanager::{
    Client, Config,
    config::{Credentials, Region},
};
use aws_secretsmanager_caching::SecretsManagerCachingClient;
use aws_smithy_http_client::test_util::infallible_client_fn;
use rotating_secret::{
    RotatingSecret,
    provider::{ProviderError, SecretProvider, Stage, Version},
};
use serde::Deserialize;
use tokio::sync::watch;

/// The secret's name.
pub const SECRET: &str = "orders/db";

const VERSION: &str = "00000000-0000-4000-8000-000000000001";
const DOCUMENT: &str = r#"{"engine":"postgres","host":"db.example.com","port":5432,"username":"orders","password":"an-example-of-a-password-in-32-ch","dbname":"shop"}"#;

/// A store that counts its requests, and answers unless it must hang.
#[derive(Clone)]
pub struct Store {
    asked: Arc<AtomicUsize>,
    hanging: Arc<watch::Sender<bool>>,
}

impl Store {
    /// A store that answers.
    #[expect(
        clippy::new_without_default,
        reason = "there is one, and it is made here"
    )]
    pub fn new() -> Self {
        Self {
            asked: Arc::default(),
            hanging: Arc::new(watch::Sender::new(false)),
        }
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Makes it hang, or answer again.
    pub fn hang(&self, hanging: bool) {
        self.hanging.send_replace(hanging);
    }
}

impl SecretProvider for Store {
    async fn fetch(&self, _: &str, _: Stage) -> Result<Version, ProviderError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // it can't end while we hold it
        let _ = self.hanging.subscribe().wait_for(|hanging| !hanging).await;
        Ok(Version::text(VERSION, DOCUMENT))
    }
}

/// Our cache, with its first version.
pub async fn ours(store: Store) -> RotatingSecret {
    let builder = RotatingSecret::builder(SECRET).fetch_timeout(Duration::from_secs(60));
    builder.build(store).await.expect("the store answers")
}

/// Their cache, asked once.
pub async fn theirs() -> SecretsManagerCachingClient {
    let answer = format!(
        r#"{{"ARN":"arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf","Name":{SECRET:?},"VersionId":{VERSION:?},"SecretString":{DOCUMENT:?},"VersionStages":["AWSCURRENT"],"CreatedDate":1.7e9}}"#
    );
    let http = infallible_client_fn(move |_| http::Response::new(answer.clone()));
    let config = Config::builder()
        .behavior_version_latest()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "bench"))
        .http_client(http)
        .build();
    let ttl = Duration::from_secs(24 * 60 * 60);
    let client =
        SecretsManagerCachingClient::new(Client::from_conf(config), NonZeroUsize::MIN, ttl, false)
            .expect("it refuses nothing");
    hit(&client).await;
    client
}

/// One read of their cache.
pub async fn hit(client: &SecretsManagerCachingClient) {
    let value = client.get_secret_value(SECRET, None, None, false).await;
    black_box(value.expect("it is in the cache"));
}

/// One read of their cache that uses the password: it caches the document's text.
pub async fn password(client: &SecretsManagerCachingClient) {
    #[derive(Deserialize)]
    struct Document {
        password: String,
    }
    let value = client.get_secret_value(SECRET, None, None, false).await;
    let value = value.expect("it is in the cache");
    let text = value.secret_string.as_deref().expect("it is text");
    let document: Document = serde_json::from_str(text).expect("it is JSON");
    black_box(document.password.as_str());
}
