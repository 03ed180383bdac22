//! The cached secrets: how long an unread one is renewed.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::secrets_manager;
use local::secrets_manager::{Behavior, Fault, SecretsManager, When};
use rotating_secret::{
    aws_sdk_secretsmanager::{
        Client,
        config::{BehaviorVersion, Config, Credentials, Region},
    },
    provider::Aws,
};
use rotating_secret_agent::{
    settings::Settings,
    store::{Question, Store},
};
use serde_json::json;

async fn store(idle: Duration) -> (SecretsManager, Store) {
    let settings = Settings {
        idle,
        ..Settings::default()
    };
    store_with(settings).await
}

async fn store_with(settings: Settings) -> (SecretsManager, Store) {
    let (service, endpoint) = secrets_manager().await;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Aws::http_client().unwrap())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("any", "any", None, None, "test"))
        .endpoint_url(endpoint);
    let aws = Aws::from_clients([Client::from_conf(config.build())]);
    (service, Store::new(aws, &settings))
}

fn question(id: &str) -> Question {
    Question {
        id: id.to_owned(),
        ..Question::default()
    }
}

#[tokio::test]
async fn an_unread_secret_is_dropped_and_no_longer_renewed() {
    for (idle, held) in [(Duration::from_nanos(1), 0), (Duration::from_secs(3600), 1)] {
        let (service, store) = store(idle).await;
        let input = json!({ "Name": "orders/db", "SecretString": "one" });
        service.call("CreateSecret", input).await.unwrap();
        let read = store.read(&question("orders/db")).await.unwrap();
        assert_eq!(store.len(), 1);
        store.sweep();
        assert_eq!(store.len(), held);
        // a reader that still holds the secret keeps its value
        assert_eq!(read.credential.name(), Some("orders/db"));
        store.read(&question("orders/db")).await.unwrap();
        assert_eq!(service.calls().len(), 2 - held);
    }
}

#[tokio::test]
async fn many_spellings_of_one_secret_leave_one_entry() {
    let (service, store) = store(Duration::from_secs(3600)).await;
    let input = json!({ "Name": "orders/db", "SecretString": "one" });
    let created = service.call("CreateSecret", input).await.unwrap();
    let arn = created["ARN"].as_str().unwrap();
    for id in [arn, &arn[..arn.len() - 7], "orders/db"] {
        store.read(&question(id)).await.unwrap();
    }
    assert_eq!((store.len(), service.calls().len()), (1, 1));
}

#[tokio::test]
async fn a_spelling_that_was_forgotten_brings_no_older_version_back() {
    let (service, store) = store_with(Settings {
        cache_size: 2,
        ..Settings::default()
    })
    .await;
    let mut arn = String::new();
    for name in ["stock/db", "mail/key", "orders/db"] {
        let input = json!({ "Name": name, "SecretString": "one" });
        let created = service.call("CreateSecret", input).await.unwrap();
        created["ARN"].as_str().unwrap().clone_into(&mut arn);
    }
    // more spellings than the cache remembers: the ARN is the oldest one of a secret that stays
    for id in [
        "orders/db",
        "stock/db",
        "orders/db",
        "mail/key",
        "orders/db",
    ] {
        store.read(&question(id)).await.unwrap();
    }
    let input = json!({ "SecretId": "orders/db", "SecretString": "two" });
    let put = service.call("PutSecretValue", input).await.unwrap();
    for id in [&*arn, "orders/db", &*arn] {
        let read = store.read(&question(id)).await.unwrap();
        assert_eq!(read.credential.version(), put["VersionId"], "{id}");
    }
}

#[tokio::test]
async fn a_version_is_served_no_longer_than_the_window_that_its_document_announces() {
    let (service, store) = store(Duration::from_secs(3600)).await;
    let document = json!({ "password": "one", "overlap_seconds": 100 }).to_string();
    let input = json!({ "Name": "orders/db", "SecretString": document });
    service.call("CreateSecret", input).await.unwrap();
    let question = question("orders/db");
    store.read(&question).await.unwrap();
    // no renewal succeeds
    let refused = Fault::on("GetSecretValue", Behavior::Drop(When::BeforeEffect));
    service.inject(refused.times(usize::MAX));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(90)).await;
    assert!(store.cached(&question).is_some());
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(store.cached(&question).is_none());
}
