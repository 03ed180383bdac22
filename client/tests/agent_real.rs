//! AWS's own Secrets Manager Agent, in front of the local Secrets Manager. Build it from its source, and run this test by hand:
//!
//! ```sh
//! SECRETS_MANAGER_AGENT=…/aws_secretsmanager_agent cargo test --all-features --test agent_real -- --ignored
//! ```
#![cfg(feature = "agent")]
#![cfg(test)]

mod common;

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use common::stores::text;
use local::world::{Options, World};
use rotating_secret::{
    RotatingSecret,
    provider::{Agent, ProviderErrorKind as Kind, SecretProvider, Stage},
};
use serde_json::{Value, json};

const TOKEN: &str = "the-t0ken-of-these-tests";

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test]
#[ignore = "needs AWS's own agent in SECRETS_MANAGER_AGENT"]
async fn awss_own_agent_gives_the_same_answers_as_the_stand_in() {
    let world = World::start(Options::new("none")).await.unwrap();
    let call = async |operation: &str, input: Value| {
        let answer = world.secrets_manager().call(operation, input).await;
        answer.unwrap()
    };
    call(
        "CreateSecret",
        json!({ "Name": "a/key", "SecretString": "k-1" }),
    )
    .await;
    call(
        "CreateSecret",
        json!({ "Name": "a/blob", "SecretBinary": "AJ+S" }),
    )
    .await;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let settings = format!(
        "http_port = {port}\nregion = \"us-east-1\"\nvalidate_credentials = false\nlog_to_file = false\n"
    );
    fs::write(&config, settings).unwrap();
    let program = std::env::var_os("SECRETS_MANAGER_AGENT").unwrap();
    let agent = Command::new(program)
        .args(["--config", config.to_str().unwrap()])
        .current_dir(folder.path())
        .env("AWS_TOKEN", TOKEN)
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", world.endpoint())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdout(Stdio::null())
        .spawn();
    let _agent = Running(agent.unwrap());

    // it cannot be reached until it has started
    let provider = Agent::with_token(port, TOKEN);
    let secret = RotatingSecret::builder("a/key")
        .build(provider.clone())
        .await;
    let secret = secret.unwrap();
    let first = secret.current().unwrap();
    assert_eq!(first.arn(), world.secrets_manager().arn("a/key").as_deref());

    call(
        "PutSecretValue",
        json!({ "SecretId": "a/key", "SecretString": "k-2" }),
    )
    .await;
    let cached = provider.fetch("a/key", Stage::Current).await.unwrap();
    assert_eq!(text(&cached), "k-1");
    assert!(cached.created.is_some());
    let fetched = provider
        .fetch_uncached("a/key", Stage::Current)
        .await
        .unwrap();
    assert_eq!(text(&fetched), "k-2");
    let cached = provider.fetch("a/key", Stage::Current).await.unwrap();
    assert_eq!(text(&cached), "k-2");

    let blob = provider.fetch("a/blob", Stage::Current).await.unwrap();
    assert!(matches!(
        blob.value,
        rotating_secret::provider::Value::Binary(_)
    ));
    for (secret, stage) in [("a/none", Stage::Current), ("a/key", Stage::Pending)] {
        let absent = provider.fetch(secret, stage).await.unwrap_err();
        assert_eq!(absent.kind(), Kind::NotFound, "{absent}");
    }
    let other = Agent::with_token(port, "another");
    let refused = other.fetch("a/key", Stage::Current).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::AccessDenied, "{refused}");
}
