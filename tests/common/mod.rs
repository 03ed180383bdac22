//! What the end-to-end tests share: a local world with the real function, and questions to ask of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;

use local::{
    invocation::{FunctionError, Invoked},
    postgres::Postgres,
    secrets_manager::{Rotation, SecretsManager},
    world::{Options, World},
};
use serde_json::{Value, json};

/// A token for rotations that are stepped through by hand.
pub(crate) const TOKEN: &str = "11111111-2222-4333-8444-555555555555";

/// The four steps in the order in which the service sends them.
pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Options for a world around the function that cargo has just built.
pub(crate) fn options() -> Options {
    Options::new(env!("CARGO_BIN_EXE_secret-rotation"))
}

/// A world of its own, on the PostgreSQL that the tests of one file share.
pub(crate) async fn world() -> World {
    World::start(options()).await.unwrap()
}

/// Rotates through RotateSecret and waits for the end.
pub(crate) async fn rotate(world: &World, secret: &str) -> Rotation {
    world.secrets_manager().rotate(secret).await.unwrap()
}

/// Invokes one step by hand.
pub(crate) async fn invoke(world: &World, secret: &str, step: &str) -> Invoked {
    let event =
        json!({ "Step": step, "SecretId": arn(world, secret), "ClientRequestToken": TOKEN });
    world.function().invoke(event).await
}

/// Invokes one step that has to succeed, and returns its outcome.
pub(crate) async fn outcome(world: &World, secret: &str, step: &str) -> String {
    let answer = invoke(world, secret, step).await.outcome.unwrap();
    answer["outcome"].as_str().unwrap().to_owned()
}

/// Invokes one step that has to fail.
pub(crate) async fn failure(world: &World, secret: &str, step: &str) -> FunctionError {
    invoke(world, secret, step).await.outcome.unwrap_err()
}

/// The secret's ARN, or the name itself where no such secret exists.
pub(crate) fn arn(world: &World, secret: &str) -> String {
    world
        .secrets_manager()
        .arn(secret)
        .unwrap_or_else(|| secret.to_owned())
}

/// The version with this label, as it is stored.
pub(crate) async fn stored(service: &SecretsManager, secret: &str, label: &str) -> Option<String> {
    let input = json!({ "SecretId": secret, "VersionStage": label });
    let value = service.call("GetSecretValue", input).await.ok()?;
    Some(value["SecretString"].as_str()?.to_owned())
}

/// The password of the version with this label.
pub(crate) async fn password(world: &World, secret: &str, label: &str) -> Option<String> {
    let stored = stored(world.secrets_manager(), secret, label).await?;
    let document: Value = serde_json::from_str(&stored).unwrap();
    Some(document["password"].as_str()?.to_owned())
}

/// Labels by version.
pub(crate) async fn labels(world: &World, secret: &str) -> BTreeMap<String, Vec<String>> {
    let described = world
        .secrets_manager()
        .call("DescribeSecret", json!({ "SecretId": secret }))
        .await
        .unwrap();
    serde_json::from_value(described["VersionIdsToStages"].clone()).unwrap_or_default()
}

/// Whether the server lets the single user's role in with this password.
pub(crate) async fn logs_in(world: &World, password: &str) -> bool {
    let postgres = world.postgres();
    postgres
        .connect(world.role(), password, world.dbname())
        .await
        .is_ok()
}

/// Stores a secret of the given text that is set up for rotation, with the token staged.
pub(crate) async fn staged_secret(world: &World, name: &str, text: &str) {
    let service = world.secrets_manager();
    service
        .call(
            "CreateSecret",
            json!({ "Name": name, "SecretString": text }),
        )
        .await
        .unwrap();
    service.stage(name, TOKEN).unwrap();
}

/// The demo secret's document with one key replaced.
pub(crate) async fn document_with(world: &World, key: &str, value: Value) -> String {
    let stored = stored(world.secrets_manager(), world.single_user(), "AWSCURRENT")
        .await
        .unwrap();
    let mut document: Value = serde_json::from_str(&stored).unwrap();
    document[key] = value;
    document.to_string()
}

/// Everything that a failed step must leave as it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Snapshot {
    labels: BTreeMap<String, Vec<String>>,
    values: Vec<Option<String>>,
    verifier: Option<String>,
}

/// Takes a snapshot of a secret and of the role's verifier.
pub(crate) async fn snapshot(world: &World, secret: &str) -> Snapshot {
    let mut values = Vec::new();
    for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
        values.push(stored(world.secrets_manager(), secret, label).await);
    }
    let verifier = verifier(world.postgres(), world.role()).await;
    Snapshot {
        labels: labels(world, secret).await,
        values,
        verifier,
    }
}

/// What the server keeps of a role's password.
pub(crate) async fn verifier(postgres: &Postgres, role: &str) -> Option<String> {
    postgres
        .superuser_client()
        .await
        .unwrap()
        .query_one(
            "SELECT rolpassword FROM pg_authid WHERE rolname = $1",
            &[&role],
        )
        .await
        .unwrap()
        .get(0)
}
