//! The AWS CLI and the SDK follow roles by themselves.

use std::process::{Command, Output};

use aws_config::sts::AssumeRoleProvider;
use aws_sdk_secretsmanager::Client;
use serde_json::Value;
use tempfile::TempDir;

use super::{World, allow, key, trust};
use crate::common::{REGION, refused};

impl World {
    /// The AWS CLI with this configuration, where a profile `base` has the key AKIABASE.
    async fn aws(&self, home: &TempDir, arguments: &[&str]) -> Output {
        let mut command = Command::new("aws");
        command
            .args(arguments)
            .env("HOME", home.path())
            .env("AWS_CONFIG_FILE", home.path().join("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_DEFAULT_OUTPUT", "json");
        for key in [
            "AWS_PROFILE",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ] {
            command.env_remove(key);
        }
        // the world answers from this thread
        let output = tokio::task::spawn_blocking(move || command.output());
        output.await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn the_aws_cli_uses_a_profile_with_a_role_and_a_chain_of_roles() {
    let world = World::start().await;
    let first = allow("sts:AssumeRole", "arn:aws:iam::123456789012:role/reader");
    let base = allow("sts:AssumeRole", "arn:aws:iam::123456789012:role/first");
    world.define("first", trust("123456789012"), &[first]);
    world.restrict("AKIABASE", "base", base);
    let home = tempfile::tempdir().unwrap();
    let config = "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = any\n\
        [profile first]\nrole_arn = arn:aws:iam::123456789012:role/first\nsource_profile = base\n\
        [profile reader]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = first\nrole_session_name = nightly\n\
        [profile skips]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = base\n";
    std::fs::write(home.path().join("config"), config).unwrap();
    let read = |profile| {
        [
            "--profile",
            profile,
            "secretsmanager",
            "get-secret-value",
            "--secret-id",
            "demo",
        ]
    };
    let identity = ["--profile", "reader", "sts", "get-caller-identity"];

    let output = world.aws(&home, &identity).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answer["Arn"],
        "arn:aws:sts::123456789012:assumed-role/reader/nightly"
    );
    let output = world.aws(&home, &read("reader")).await;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["SecretString"], "one");

    for (profile, code, words) in [
        (
            "first",
            "(AccessDeniedException)",
            "assumed-role/first/botocore-session-",
        ),
        (
            "skips",
            "(AccessDenied)",
            "assumed-role/base/local is not authorized to perform: sts:AssumeRole on resource",
        ),
    ] {
        let output = world.aws(&home, &read(profile)).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{profile}");
        assert!(
            said.contains(code) && said.contains(words),
            "{profile}: {said}"
        );
    }
}

#[tokio::test]
async fn the_sdks_provider_assumes_a_role_and_its_client_reads() {
    let world = World::start().await;
    let base = key("AKIABASE");
    let provider = AssumeRoleProvider::builder("arn:aws:iam::123456789012:role/reader")
        .session_name("nightly")
        .configure(&world.sdk(base.clone()).await)
        .build_from_provider(base)
        .await;
    let client = Client::new(&world.sdk(provider).await);
    let read = client.get_secret_value().secret_id("demo").send().await;
    assert_eq!(read.unwrap().secret_string(), Some("one"));
    let described = client.describe_secret().secret_id("demo").send().await;
    let (_, message) = refused(described);
    assert!(message.contains("assumed-role/reader/nightly"), "{message}");
}
