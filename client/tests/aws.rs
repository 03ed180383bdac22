//! Secrets Manager, through its real SDK and its real wire format: how the provider reads each answer.
#![cfg(feature = "aws")]
#![cfg(test)]

mod common;

use std::time::Duration;

use aws_sdk_secretsmanager::{Client, config::Region};
use common::{closed_port, stores::text};
use local::{
    secrets_manager::{Behavior, Fault, Hang, ServiceError, When},
    world::{Options, World},
};
use rotating_secret::{
    Builder, RotatingSecret,
    provider::{Aws, ProviderErrorKind as Kind, SecretProvider, Stage},
};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::time::timeout;

/// A hanging test says less than a failing one.
const PATIENCE: Duration = Duration::from_secs(60);

/// A world whose function is never invoked.
async fn world() -> World {
    World::start(Options::new("none")).await.unwrap()
}

async fn call(world: &World, operation: &str, input: serde_json::Value) {
    let answer = world.secrets_manager().call(operation, input).await;
    answer.unwrap();
}

async fn create(world: &World, name: &str, text: &str) {
    let input = json!({ "Name": name, "SecretString": text });
    call(world, "CreateSecret", input).await;
}

async fn put(world: &World, secret: &str, text: &str) {
    let input = json!({ "SecretId": secret, "SecretString": text });
    call(world, "PutSecretValue", input).await;
}

fn error(status: u16, code: &str) -> Behavior {
    Behavior::Error(ServiceError {
        status,
        code: code.into(),
        message: "as it was told".into(),
    })
}

/// Makes the next reads fail.
fn inject(world: &World, behavior: Behavior) {
    let fault = Fault::on("GetSecretValue", behavior);
    world.secrets_manager().inject(fault);
}

async fn secret(provider: &Aws, id: &str) -> RotatingSecret {
    let built = RotatingSecret::builder(id).build(provider.clone()).await;
    built.unwrap()
}

/// The current text.
fn held(secret: &RotatingSecret) -> String {
    let credential = secret.current().unwrap();
    credential.text().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn text_bytes_version_and_arn_are_those_of_the_service() {
    let world = world().await;
    create(&world, "a/key", "k-1").await;
    let blob = json!({ "Name": "a/blob", "SecretBinary": "AJ+S" });
    call(&world, "CreateSecret", blob).await;
    let provider = Aws::from_clients([world.aws()]);
    let key = secret(&provider, "a/key").await;
    assert_eq!(held(&key), "k-1");
    let credential = key.current().unwrap();
    assert_eq!(credential.version().len(), 36);
    let arn = world.secrets_manager().arn("a/key");
    assert_eq!(credential.arn(), arn.as_deref());
    let blob = secret(&provider, "a/blob").await.current().unwrap();
    assert_eq!(blob.binary().unwrap().expose_secret(), &[0, 159, 146]);
}

#[tokio::test]
async fn one_secret_or_many_secrets_are_found_by_name_and_by_arn() {
    let world = world().await;
    for name in ["b/1", "b/2", "b/3"] {
        create(&world, name, name).await;
    }
    let arn = world.secrets_manager().arn("b/2").unwrap();
    let provider = Aws::from_clients([world.aws()]);
    let calls = world.secrets_manager().calls().len();
    let builders = ["b/1", &arn, "b/3"].map(RotatingSecret::builder);
    let secrets = Builder::build_all(builders, provider).await.unwrap();
    let texts: Vec<String> = secrets.iter().map(held).collect();
    assert_eq!(texts, ["b/1", "b/2", "b/3"]);
    let calls = world.secrets_manager().calls().split_off(calls);
    let operations: Vec<&str> = calls.iter().map(|call| &*call.operation).collect();
    assert_eq!(operations, ["BatchGetSecretValue"]);
}

#[tokio::test]
async fn more_than_twenty_secrets_each_get_their_value_and_an_absent_one_is_reported() {
    let world = world().await;
    let names: Vec<String> = (0..45).map(|number| format!("c/{number}")).collect();
    for name in names.iter().skip(1) {
        create(&world, name, name).await;
    }
    let ids: Vec<&str> = names.iter().map(|name| &**name).collect();
    let versions = Aws::from_clients([world.aws()]).fetch_all(&ids).await;
    assert_eq!(versions.len(), 45);
    assert_eq!(versions[0].as_ref().unwrap_err().kind(), Kind::NotFound);
    for (version, name) in versions.iter().zip(&names).skip(1) {
        assert_eq!(text(version.as_ref().unwrap()), name);
    }
}

#[tokio::test]
async fn each_failure_has_the_kind_that_the_service_reported() {
    let world = world().await;
    create(&world, "d", "x").await;
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
        inject(&world, behavior.clone());
        let failed = provider.fetch("d", Stage::Current).await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{behavior:?}: {failed}");
        assert!(failed.to_string().contains("us-east-1"), "{failed}");
    }
    let pending = provider.fetch("d", Stage::Pending).await.unwrap_err();
    assert_eq!(pending.kind(), Kind::NotFound);
    assert!(provider.fetch("d", Stage::Current).await.is_ok());
}

#[tokio::test]
async fn an_unreachable_region_is_unavailable() {
    let (_held, port) = closed_port();
    let nobody = format!("http://127.0.0.1:{port}");
    let provider = Aws::from_clients([at(&world().await, &nobody, "us-east-1")]);
    let failed = provider.fetch("d", Stage::Current).await.unwrap_err();
    assert_eq!(failed.kind(), Kind::Unavailable, "{failed}");
    let told = failed.to_string();
    assert!(
        told.contains(nobody.trim_start_matches("http://")),
        "{told}"
    );
    assert!(told.contains("Connection refused"), "{told}");
    assert!(!told.contains("ConnectorError"), "{told}");
}

#[tokio::test]
async fn a_deleted_secret_is_served_to_its_bound_and_differs_from_one_that_never_existed() {
    let world = world().await;
    create(&world, "e", "x").await;
    let provider = Aws::from_clients([world.aws()]);
    let secret = secret(&provider, "e").await;
    call(&world, "DeleteSecret", json!({ "SecretId": "e" })).await;
    let error = secret.refresh().await.unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
    assert!(error.contains("RestoreSecret"), "{error}");
    assert!(secret.current().is_ok());
    let never = provider.fetch("never", Stage::Current).await;
    let never = never.unwrap_err().to_string();
    assert!(never.contains("not found"), "{never}");
    assert!(!never.contains("RestoreSecret"), "{never}");
    // once restored, it works again
    call(&world, "RestoreSecret", json!({ "SecretId": "e" })).await;
    put(&world, "e", "y").await;
    let restored = async { while secret.refresh().await.is_err() {} };
    timeout(PATIENCE, restored).await.unwrap();
    assert_eq!(held(&secret), "y");
}

#[tokio::test]
async fn a_service_that_throttles_hangs_or_breaks_is_asked_again() {
    let world = world().await;
    create(&world, "f", "x").await;
    let service = world.secrets_manager();
    let hang = Hang::default();
    for behavior in [
        error(400, "ThrottlingException"),
        error(503, "ServiceUnavailable"),
        Behavior::Drop(When::AfterEffect),
        Behavior::Hang(When::BeforeEffect, hang.clone()),
    ] {
        let builder = RotatingSecret::builder("f").fetch_timeout(Duration::from_secs(1));
        let secret = builder
            .build(Aws::from_clients([world.aws()]))
            .await
            .unwrap();
        let before = secret.current().unwrap().version().to_owned();
        service.inject(Fault::on("GetSecretValue", behavior.clone()).times(3));
        put(&world, "f", "another").await;
        assert!(secret.refresh().await.is_err(), "{behavior:?}");
        assert_eq!(secret.current().unwrap().version(), before, "{behavior:?}");
        // only the task fetches, with backoff, and well before the lifetime of five minutes is over
        let changed = timeout(PATIENCE, secret.changed()).await.unwrap();
        assert_ne!(changed.unwrap().version(), before, "{behavior:?}");
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
async fn a_replica_is_asked_only_if_the_region_before_it_is_down() {
    let (first, replica) = (world().await, world().await);
    for world in [&first, &replica] {
        create(world, "g", "x").await;
    }
    let clients = [first.aws(), at(&replica, replica.endpoint(), "us-east-1")];
    let provider = Aws::from_clients(clients);
    let asked = |world: &World| {
        let calls = world.secrets_manager().calls().into_iter();
        let reads = calls.filter(|call| call.operation == "GetSecretValue");
        reads.count()
    };

    provider.fetch("g", Stage::Current).await.unwrap();
    for code in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ThrottlingException",
    ] {
        inject(&first, error(400, code));
        assert!(provider.fetch("g", Stage::Current).await.is_err(), "{code}");
    }
    assert_eq!((asked(&first), asked(&replica)), (4, 0));
    inject(&first, error(503, "ServiceUnavailable"));
    provider.fetch("g", Stage::Current).await.unwrap();
    assert_eq!((asked(&first), asked(&replica)), (5, 1));
    let down = error(503, "ServiceUnavailable");
    let batch = Fault::on("BatchGetSecretValue", down);
    first.secrets_manager().inject(batch);
    let versions = provider.fetch_all(&["g", "g"]).await;
    assert!(versions.iter().all(Result::is_ok), "{versions:?}");
}

#[tokio::test]
async fn replicas_are_also_asked_with_the_callers_own_client() {
    let world = world().await;
    create(&world, "h", "x").await;
    let there = json!([{ "Region": "eu-west-1" }]);
    let replicate = json!({ "SecretId": "h", "AddReplicaRegions": there });
    call(&world, "ReplicateSecretToRegions", replicate).await;
    let provider = Aws::from_clients([world.aws()]).replicas(["eu-west-1"]);
    inject(&world, error(503, "ServiceUnavailable"));
    provider.fetch("h", Stage::Current).await.unwrap();
    let reads = world.secrets_manager().calls().into_iter();
    let reads = reads.filter(|call| call.operation == "GetSecretValue");
    assert_eq!(reads.count(), 2);
}

#[tokio::test]
async fn the_region_of_a_full_arn_is_also_asked_with_the_callers_own_client() {
    let world = world().await;
    let provider = Aws::from_clients([world.aws()]);
    let elsewhere = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:i-AbCdEf";
    let absent = provider.fetch(elsewhere, Stage::Current).await.unwrap_err();
    assert!(absent.to_string().contains("eu-west-1"), "{absent}");
    assert!(!absent.to_string().contains("us-east-1:"), "{absent}");
}
