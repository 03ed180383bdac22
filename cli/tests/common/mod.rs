//! What the tests of the commands share: a local world, and the command run in it.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::{env, process::Command, time::Duration};

use local::{
    executable,
    world::{Options, REGION, World},
};
use serde_json::{Value, json};
use snapbox::cmd::OutputAssert;

fn options() -> Options {
    Options::new(executable::of_tests("--bin", "secret-rotation").unwrap())
}

/// A world with this workspace's function.
pub(crate) async fn world() -> World {
    World::start(options()).await.unwrap()
}

/// The same with an outside service whose API key rotates.
pub(crate) async fn world_with_key_service() -> World {
    World::start(options().with_key_service()).await.unwrap()
}

/// The command, with this endpoint and no other setting of AWS's, or of the terminal's.
pub(crate) fn command(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotatectl"));
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        // no configuration of whoever runs the tests
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("TLS_CA_FILE");
    command
}

/// Runs it to its end.
pub(crate) async fn run(mut command: Command) -> OutputAssert {
    // the world answers from this thread
    let output = tokio::task::spawn_blocking(move || command.output());
    OutputAssert::new(output.await.unwrap().unwrap())
}

/// Runs the command in this world.
pub(crate) async fn rotatectl(world: &World, arguments: &[&str]) -> OutputAssert {
    run(command(world.endpoint(), arguments)).await
}

/// Waits until something has happened, for a generous while.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let happened = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let happened = tokio::time::timeout(Duration::from_secs(60), happened).await;
    assert!(happened.is_ok(), "{what}: not within a minute");
}

/// What a command wrote to stdout, as JSON.
pub(crate) fn json_of(ran: &OutputAssert) -> Value {
    serde_json::from_slice(&ran.get_output().stdout).unwrap()
}

/// A tag on a secret.
pub(crate) async fn tag(world: &World, secret: &str, key: &str, value: &str) {
    let tags = json!({ "SecretId": secret, "Tags": [{ "Key": key, "Value": value }] });
    let service = world.secrets_manager();
    service.call("TagResource", tags).await.unwrap();
}

/// Has rotations of the single user's secret fail, until somebody puts the right password there again.
pub(crate) async fn change_password_by_hand(world: &World) {
    let sql = format!("ALTER ROLE {} PASSWORD 'by hand'", world.role());
    world.postgres().execute(&sql).await.unwrap();
}

/// The password of the version with this label.
pub(crate) async fn password(world: &World, secret: &str, label: &str) -> String {
    let input = json!({ "SecretId": secret, "VersionStage": label });
    let value = world.secrets_manager().call("GetSecretValue", input).await;
    let value = value.unwrap();
    let document: Value = serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap();
    document["password"].as_str().unwrap().to_owned()
}
