//! Secrets Manager, through its real SDK and its real wire format: what each of its answers is taken for.
#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

use std::time::Duration;

use aws_sdk_secretsmanager::{Client, config::Region};
use local::{
    secrets_manager::{Behavior, Fault, Hang, SecretsManager, ServiceError, When},
    world::{Options, World},
};
use rotating_secret::{
    Builder, RotatingSecret,
    provider::{Aws, ProviderErrorKind as Kind, SecretProvider, Stage},
};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

/// A world whose function is never invoked.
async fn world() -> World {
    World::start(Options::new("none")).await.unwrap()
}

async fn create(world: &World, name: &str, value: serde_json::Value) {
    let mut input = value;
    input["Name"] = name.into();
    world
        .secrets_manager()
        .call("CreateSecret", input)
        .await
        .unwrap();
}

async fn put(service: &SecretsManager, secret: &str, text: &str) {
    let input = json!({ "SecretId": secret, "SecretString": text });
    service.call("PutSecretValue", input).await.unwrap();
}

fn error(status: u16, code: &str) -> Behavior {
    Behavior::Error(ServiceError {
        status,
        code: code.into(),
        message: "as it was told".into(),
    })
}

#[tokio::test]
async fn text_bytes_version_and_arn_are_what_the_service_has() {
    let world = world().await;
    create(&world, "a/key", json!({ "SecretString": "k-1" })).await;
    create(&world, "a/blob", json!({ "SecretBinary": "AJ+S" })).await;
    let provider = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder("a/key")
        .build(provider.clone())
        .await
        .unwrap();
    let credential = secret.current().unwrap();
    assert_eq!(credential.text().unwrap().expose_secret(), "k-1");
    assert_eq!(credential.version().len(), 36);
    assert_eq!(
        credential.arn().map(str::to_owned),
        world.secrets_manager().arn("a/key")
    );
    let secret = RotatingSecret::builder("a/blob")
        .build(provider)
        .await
        .unwrap();
    assert_eq!(
        secret.current().unwrap().binary().unwrap().expose_secret(),
        &[0, 159, 146]
    );
}

#[tokio::test]
async fn a_secret_is_found_by_its_name_and_by_its_arn_and_so_are_many_at_once() {
    let world = world().await;
    for name in ["b/1", "b/2", "b/3"] {
        create(&world, name, json!({ "SecretString": name })).await;
    }
    let arn = world.secrets_manager().arn("b/2").unwrap();
    let provider = Aws::from_clients([world.aws()]);
    let calls = world.secrets_manager().calls().len();
    let builders = ["b/1", &arn, "b/3"].map(RotatingSecret::builder);
    let secrets = Builder::build_all(builders, provider).await.unwrap();
    let texts = secrets.iter().map(|secret| {
        secret
            .current()
            .unwrap()
            .text()
            .unwrap()
            .expose_secret()
            .to_owned()
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["b/1", "b/2", "b/3"]);
    let calls = world.secrets_manager().calls().split_off(calls);
    let operations: Vec<&str> = calls.iter().map(|call| &*call.operation).collect();
    assert_eq!(operations, ["BatchGetSecretValue"]);
}

#[tokio::test]
async fn of_more_than_twenty_each_has_its_own_and_one_that_is_absent_is_told() {
    let world = world().await;
    let names: Vec<String> = (0..45).map(|number| format!("c/{number}")).collect();
    for name in names.iter().skip(1) {
        create(&world, name, json!({ "SecretString": name })).await;
    }
    let ids: Vec<&str> = names.iter().map(|name| &**name).collect();
    let versions = Aws::from_clients([world.aws()]).fetch_all(&ids).await;
    assert_eq!(versions.len(), 45);
    assert_eq!(versions[0].as_ref().unwrap_err().kind(), Kind::NotFound);
    for (version, name) in versions.iter().zip(&names).skip(1) {
        let rotating_secret::provider::Value::Text(text) = &version.as_ref().unwrap().value else {
            panic!("{name}")
        };
        assert_eq!(text.expose_secret(), name);
    }
}

#[tokio::test]
async fn each_failure_is_what_the_service_says_and_nothing_else() {
    let world = world().await;
    create(&world, "d", json!({ "SecretString": "x" })).await;
    let provider = Aws::from_clients([world.aws()]);
    for (behavior, kind) in [
        (error(400, "ThrottlingException"), Kind::Throttled),
        (error(400, "AccessDeniedException"), Kind::AccessDenied),
        (error(400, "ResourceNotFoundException"), Kind::NotFound),
        (error(400, "DecryptionFailure"), Kind::Invalid),
        (error(500, "InternalServiceError"), Kind::Unavailable),
        (error(503, "AccessDeniedException"), Kind::Unavailable),
        (Behavior::Drop(When::BeforeEffect), Kind::Unavailable),
    ] {
        world
            .secrets_manager()
            .inject(Fault::on("GetSecretValue", behavior.clone()));
        let failed = provider.fetch("d", Stage::Current).await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{behavior:?}: {failed}");
        assert!(failed.to_string().contains("us-east-1"), "{failed}");
    }
    assert_eq!(
        provider
            .fetch("d", Stage::Pending)
            .await
            .unwrap_err()
            .kind(),
        Kind::NotFound
    );
    assert!(provider.fetch("d", Stage::Current).await.is_ok());
}

#[tokio::test]
async fn a_region_that_cannot_be_reached_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let provider =
        Aws::from_clients([at(&world().await, &format!("http://{nobody}"), "us-east-1")]);
    let failed = provider.fetch("d", Stage::Current).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unavailable, "{failed}");
}

#[tokio::test]
async fn a_deleted_secret_is_served_to_its_bound_and_told_from_one_that_never_was() {
    let world = world().await;
    create(&world, "e", json!({ "SecretString": "x" })).await;
    let provider = Aws::from_clients([world.aws()]);
    let secret = RotatingSecret::builder("e")
        .build(provider.clone())
        .await
        .unwrap();
    let service = world.secrets_manager();
    service
        .call("DeleteSecret", json!({ "SecretId": "e" }))
        .await
        .unwrap();
    let error = secret.refresh().await.unwrap_err().to_string();
    assert!(
        error.contains("not found") && error.contains("RestoreSecret"),
        "{error}"
    );
    assert!(secret.current().is_ok());
    let never = provider
        .fetch("never", Stage::Current)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        never.contains("not found") && !never.contains("RestoreSecret"),
        "{never}"
    );
    // restored, it goes on
    service
        .call("RestoreSecret", json!({ "SecretId": "e" }))
        .await
        .unwrap();
    put(service, "e", "y").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while secret.refresh().await.is_err() {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(
        secret.current().unwrap().text().unwrap().expose_secret(),
        "y"
    );
}

#[tokio::test]
async fn a_service_that_throttles_hangs_or_breaks_is_borne_and_asked_again() {
    let world = world().await;
    create(&world, "f", json!({ "SecretString": "x" })).await;
    let service = world.secrets_manager();
    let hang = Hang::default();
    for behavior in [
        error(400, "ThrottlingException"),
        error(503, "ServiceUnavailable"),
        Behavior::Drop(When::AfterEffect),
        Behavior::Hang(When::BeforeEffect, hang.clone()),
    ] {
        let builder = RotatingSecret::builder("f").fetch_timeout(Duration::from_millis(300));
        let secret = builder
            .build(Aws::from_clients([world.aws()]))
            .await
            .unwrap();
        let before = secret.current().unwrap().version().to_owned();
        service.inject(Fault::on("GetSecretValue", behavior.clone()).times(3));
        put(service, "f", "another").await;
        assert!(secret.refresh().await.is_err(), "{behavior:?}");
        assert_eq!(secret.current().unwrap().version(), before, "{behavior:?}");
        // nobody asks: the task does, with backoff, and well before the lifetime of five minutes is over
        let changed = timeout(Duration::from_secs(20), secret.changed())
            .await
            .unwrap()
            .unwrap();
        assert_ne!(changed.version(), before, "{behavior:?}");
    }
}

fn at(world: &World, endpoint: &str, region: &'static str) -> Client {
    let config = world
        .aws()
        .config()
        .to_builder()
        .endpoint_url(endpoint)
        .region(Region::new(region))
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn a_replica_is_asked_when_the_region_before_it_is_down_and_only_then() {
    let (first, replica) = (world().await, world().await);
    for world in [&first, &replica] {
        create(world, "g", json!({ "SecretString": "x" })).await;
    }
    let clients = [first.aws(), at(&replica, replica.endpoint(), "us-east-1")];
    let provider = Aws::from_clients(clients);
    let asked = |world: &World| {
        world
            .secrets_manager()
            .calls()
            .iter()
            .filter(|call| call.operation == "GetSecretValue")
            .count()
    };

    provider.fetch("g", Stage::Current).await.unwrap();
    for code in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ThrottlingException",
    ] {
        first
            .secrets_manager()
            .inject(Fault::on("GetSecretValue", error(400, code)));
        assert!(provider.fetch("g", Stage::Current).await.is_err(), "{code}");
    }
    assert_eq!((asked(&first), asked(&replica)), (4, 0));
    first.secrets_manager().inject(Fault::on(
        "GetSecretValue",
        error(503, "ServiceUnavailable"),
    ));
    provider.fetch("g", Stage::Current).await.unwrap();
    assert_eq!((asked(&first), asked(&replica)), (5, 1));
    first.secrets_manager().inject(Fault::on(
        "BatchGetSecretValue",
        error(503, "ServiceUnavailable"),
    ));
    let versions = provider.fetch_all(&["g", "g"]).await;
    assert!(versions.iter().all(Result::is_ok), "{versions:?}");
}
