//! Caches of the same secret: ours, that of AWS, and the bare structures that a cache can be made of.

use std::{
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
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use rotating_secret::{
    RotatingSecret,
    provider::{ProviderError, SecretProvider, Stage, Version},
};
use tokio::sync::watch;

pub mod subjects;

/// The secret's name.
pub const SECRET: &str = "orders/db";

const VERSION: &str = "00000000-0000-4000-8000-000000000001";
/// The secret's value.
pub const DOCUMENT: &str = r#"{"engine":"postgres","host":"db.example.com","port":5432,"username":"orders","password":"an-example-of-a-password-in-32-ch","dbname":"shop"}"#;

/// A store that counts its requests, and answers unless it must hang.
#[derive(Clone, Debug)]
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

    async fn answer(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // it can't end while we hold it
        let _ = self.hanging.subscribe().wait_for(|hanging| !hanging).await;
    }
}

impl SecretProvider for Store {
    async fn fetch(&self, _: &str, _: Stage) -> Result<Version, ProviderError> {
        self.answer().await;
        Ok(Version::text(VERSION, DOCUMENT))
    }
}

impl HttpConnector for Store {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let store = self.clone();
        HttpConnectorFuture::new(async move {
            store.answer().await;
            // GetSecretValue and DescribeSecret in one: each reads its own fields
            let answer = format!(
                r#"{{"ARN":"arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf","Name":{SECRET:?},"VersionId":{VERSION:?},"SecretString":{DOCUMENT:?},"VersionStages":["AWSCURRENT"],"VersionIdsToStages":{{{VERSION:?}:["AWSCURRENT"]}},"CreatedDate":1.7e9}}"#
            );
            let ok = 200_u16.try_into().expect("a status");
            Ok(HttpResponse::new(ok, SdkBody::from(answer)))
        })
    }
}

/// Our cache, with its first version.
pub async fn ours(store: Store, ttl: Duration) -> RotatingSecret {
    let builder = RotatingSecret::builder(SECRET)
        .ttl(ttl)
        .fetch_timeout(Duration::from_secs(60));
    builder.build(store).await.expect("the store answers")
}

/// AWS's cache, asked once.
pub async fn theirs(store: Store, ttl: Duration) -> SecretsManagerCachingClient {
    let connector = SharedHttpConnector::new(store);
    let config = Config::builder()
        .behavior_version_latest()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "bench"))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let client =
        SecretsManagerCachingClient::new(Client::from_conf(config), NonZeroUsize::MIN, ttl, false)
            .expect("it refuses nothing");
    hit(&client).await;
    client
}

/// One read of AWS's cache.
pub async fn hit(client: &SecretsManagerCachingClient) {
    let value = client.get_secret_value(SECRET, None, None, false).await;
    std::hint::black_box(value.expect("it is in the cache"));
}
