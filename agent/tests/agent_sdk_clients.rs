//! Unchanged AWS programs read from the cache: boto3, the AWS CLI, Powertools, JavaScript's SDK.

#![cfg(test)]

mod common;

use std::process::{Command, Output};

use common::{
    TOKEN, World, skipped,
    tools::{node_path, tool},
    world,
};
use serde_json::{Value, json};

/// Runs the program with the agent as Secrets Manager's endpoint. None if it is not installed.
async fn run(
    world: &World,
    path: &str,
    session: &str,
    program: &str,
    arguments: &[&str],
) -> Option<Output> {
    let mut command = Command::new(tool(program));
    let home = tempfile::tempdir().unwrap();
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env(
            "PYTHONPATH",
            std::env::var_os("PYTHONPATH").unwrap_or_default(),
        )
        .env("NODE_PATH", node_path())
        .env("HOME", home.path())
        .env(
            "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            format!("http://127.0.0.1:{}{path}", world.agent.port),
        )
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAAPPLICATION")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("AWS_SESSION_TOKEN", session);
    // this thread must stay free: the world answers from it
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().ok()
}

/// Runs a script that uses boto3.
async fn python(world: &World, path: &str, session: &str, script: &str) -> Option<Value> {
    let found = run(world, path, session, "python3", &["-c", "import boto3"]).await;
    if found.is_none_or(|found| !found.status.success()) {
        skipped("boto3: python3 has none; make test installs it");
        return None;
    }
    let script = format!("import boto3, json\nservice = boto3.client('secretsmanager')\n{script}");
    let output = run(world, path, session, "python3", &["-c", &script]).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test]
async fn boto3_is_served_from_the_cache_with_its_session_token_or_the_token_in_the_path() {
    let mut world = world("").await;
    world.create("orders/db", "one").await;
    let script = "
first = service.get_secret_value(SecretId='orders/db')
again = [service.get_secret_value(SecretId=first['ARN'])['SecretString'] for _ in range(20)]
batch = service.batch_get_secret_value(SecretIdList=['orders/db', 'absent'])
described = service.describe_secret(SecretId='orders/db')
assert list(described['VersionIdsToStages'].values()) == [['AWSCURRENT']], described
try: service.get_secret_value(SecretId='absent')
except service.exceptions.ResourceNotFoundException as error: absent = str(error)
print(json.dumps({'date': first['CreatedDate'].timestamp(), 'read': sorted(set(again)), 'batch': len(batch['SecretValues']), 'absent': absent}))
";
    for (path, session) in [
        ("", TOKEN),
        (&*format!("/sdk/{TOKEN}"), "the-applications-own"),
    ] {
        let Some(said) = python(&world, path, session, script).await else {
            return;
        };
        assert_eq!(said["read"], json!(["one"]));
        assert_eq!(said["batch"], 1);
        assert!(said["date"].as_f64().unwrap() > 1.7e9);
        assert!(
            said["absent"].as_str().unwrap().contains("can't find"),
            "{said}"
        );
    }
    let of_it = world.service.calls();
    let of_it = of_it
        .iter()
        .filter(|call| call.secret.as_deref() != Some("absent"));
    assert_eq!(of_it.count(), 1);
    let log = world.agent.whole_log();
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn boto3_without_the_token_gets_an_error_that_says_what_to_do() {
    let world = world("").await;
    let script = "
try: service.get_secret_value(SecretId='orders/db')
except service.exceptions.ClientError as error: print(json.dumps(str(error)))
";
    let Some(said) = python(&world, "", "the-applications-own", script).await else {
        return;
    };
    let said = said.as_str().unwrap();
    assert!(
        said.contains("UnrecognizedClientException") && said.contains("/sdk/TOKEN"),
        "{said}"
    );
}

#[tokio::test]
async fn powertools_for_python_is_served_from_the_cache() {
    let world = world("").await;
    world.create("orders/db", r#"{"password":"one"}"#).await;
    let script = "from aws_lambda_powertools.utilities import parameters
print(parameters.get_secret('orders/db', transform='json')['password'])";
    let import = ["-c", "import aws_lambda_powertools"];
    let found = run(&world, "", TOKEN, "python3", &import).await;
    if found.is_none_or(|found| !found.status.success()) {
        skipped("Powertools: python3 has no aws-lambda-powertools; make test installs it");
        return;
    }
    for _ in 0..2 {
        let output = run(&world, "", TOKEN, "python3", &["-c", script])
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"one\n", "{said}");
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn javascripts_sdk_is_served_from_the_cache_and_keeps_the_path() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let import = "const { SecretsManagerClient, GetSecretValueCommand } = require('@aws-sdk/client-secrets-manager');";
    let found = run(&world, "", TOKEN, "node", &["-e", import]).await;
    if found.is_none_or(|found| !found.status.success()) {
        skipped("JavaScript's SDK: node has none; make test installs it where npm is there");
        return;
    }
    let script = format!(
        "{import}
const service = new SecretsManagerClient({{}});
service.send(new GetSecretValueCommand({{ SecretId: 'orders/db' }}))
  .then(read => console.log(read.SecretString, read.CreatedDate.getFullYear() > 2020));"
    );
    for (path, session) in [
        ("", TOKEN),
        (&*format!("/sdk/{TOKEN}"), "the-applications-own"),
    ] {
        let output = run(&world, path, session, "node", &["-e", &script])
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"one true\n", "{said}");
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn the_aws_cli_is_served_from_the_cache() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let arguments = [
        "secretsmanager",
        "get-secret-value",
        "--secret-id",
        "orders/db",
        "--output",
        "json",
    ];
    for (path, session) in [
        ("", TOKEN),
        (&*format!("/sdk/{TOKEN}"), "the-applications-own"),
    ] {
        let Some(output) = run(&world, path, session, "aws", &arguments).await else {
            skipped("the AWS CLI: it is not installed; make test installs it");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["SecretString"], "one");
    }
    assert_eq!(world.asked(), 1);
}
