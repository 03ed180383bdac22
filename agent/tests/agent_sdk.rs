//! The JSON protocol of AWS's SDKs: what unchanged boto3 and the unchanged AWS CLI are served.

#![cfg(test)]

mod common;

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use common::{TOKEN, World, world};
use local::secrets_manager::Behavior;
use serde_json::{Value, json};

/// The programs that `make setup` installs, where they are.
fn tool(name: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/aws/bin");
    let own = PathBuf::from(root).join(name);
    if own.exists() { own } else { name.into() }
}

/// Runs it with the agent as Secrets Manager's endpoint; none where it is not installed.
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
    // the world answers from this thread
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().ok()
}

/// Where node looks for modules, apart from its own folders.
fn node_path() -> String {
    let own = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../.tools/javascript/node_modules"
    );
    let set = std::env::var("NODE_PATH").unwrap_or_default();
    format!("{own}:{set}")
}

/// Runs a script that has boto3.
async fn python(world: &World, path: &str, session: &str, script: &str) -> Option<Value> {
    let found = run(world, path, session, "python3", &["-c", "import boto3"]).await;
    if found.is_none_or(|found| !found.status.success()) {
        eprintln!("skipped: python3 has no boto3; make setup installs it");
        return None;
    }
    let script = format!("import boto3, json\nservice = boto3.client('secretsmanager')\n{script}");
    let output = run(world, path, session, "python3", &["-c", &script]).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test]
async fn the_answer_has_the_form_of_secrets_manager_and_its_date_is_a_number() {
    let world = world("").await;
    let arn = world.create("orders/db", "one").await;
    let read = world
        .agent
        .call("GetSecretValue", json!({ "SecretId": "orders/db" }))
        .await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(
        read.header("content-type"),
        Some("application/x-amz-json-1.1")
    );
    assert_eq!(read.header("cache-control"), Some("no-store"));
    let value = read.json();
    assert_eq!(value["ARN"], arn);
    assert_eq!(value["Name"], "orders/db");
    assert_eq!(value["SecretString"], "one");
    assert_eq!(value["VersionStages"], json!(["AWSCURRENT"]));
    assert!(value["CreatedDate"].as_f64().unwrap() > 1.7e9);
    assert_eq!(
        read.header("x-rotating-secret-version"),
        value["VersionId"].as_str()
    );
}

#[tokio::test]
async fn both_protocols_are_served_from_one_cache() {
    let world = world("").await;
    let arn = world.create("orders/db", "one").await;
    world
        .agent
        .call("GetSecretValue", json!({ "SecretId": arn }))
        .await;
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    let input = json!({ "SecretId": "orders/db", "VersionStage": "AWSCURRENT" });
    world.agent.call("GetSecretValue", input).await;
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_batch_returns_a_value_or_an_error_for_each_secret_and_refuses_filters() {
    let world = world("").await;
    for name in ["a", "b"] {
        world.create(name, name).await;
    }
    let batch = json!({ "SecretIdList": ["a", "absent", "b"] });
    let read = world.agent.call("BatchGetSecretValue", batch).await.json();
    let values = read["SecretValues"].as_array().unwrap();
    let values: Vec<_> = values
        .iter()
        .map(|value| value["SecretString"].as_str().unwrap())
        .collect();
    assert_eq!(values, ["a", "b"]);
    assert_eq!(read["Errors"][0]["SecretId"], "absent");
    assert_eq!(read["Errors"][0]["ErrorCode"], "ResourceNotFoundException");
    for wrong in [
        json!({ "Filters": [] }),
        json!({ "SecretIdList": [] }),
        json!({ "SecretIdList": vec!["a"; 21] }),
    ] {
        let refused = world.agent.call("BatchGetSecretValue", wrong).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["__type"], "InvalidParameterException");
    }
}

#[tokio::test]
async fn a_description_comes_from_the_cache_and_needs_no_right_to_describe() {
    let world = world("").await;
    let arn = world.create("orders/db", "one").await;
    let described = world
        .agent
        .call("DescribeSecret", json!({ "SecretId": "orders/db" }))
        .await
        .json();
    assert_eq!(
        (&described["ARN"], &described["Name"]),
        (&json!(arn), &json!("orders/db"))
    );
    let stages = described["VersionIdsToStages"].as_object().unwrap();
    assert_eq!(
        stages.values().collect::<Vec<_>>(),
        [&json!(["AWSCURRENT"])]
    );
    let calls = world.service.calls();
    assert!(
        calls.iter().all(|call| call.operation == "GetSecretValue"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_write_is_refused_with_the_address_to_use_and_never_passed_on() {
    let world = world("").await;
    for operation in [
        "PutSecretValue",
        "DeleteSecret",
        "ListSecrets",
        "GetRandomPassword",
        "",
    ] {
        let refused = world
            .agent
            .call(operation, json!({ "SecretId": "a" }))
            .await;
        assert_eq!(refused.status, 400);
        let error = refused.json();
        assert_eq!(error["__type"], "UnknownOperationException");
        assert!(
            error["message"].as_str().unwrap().contains("endpoint_url"),
            "{error}"
        );
    }
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn a_signed_request_without_the_token_is_refused() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let body = r#"{"SecretId":"orders/db"}"#;
    let signed = "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261129/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=00\r\n";
    for (path, headers) in [
        ("/", signed.to_owned()),
        ("/", "X-Amz-Security-Token: \r\n".to_owned()),
        ("/", "X-Amz-Security-Token: wrong-token\r\n".to_owned()),
        // this route's header is the SDK's, and the other routes' is no page's either
        ("/", format!("X-Vault-Token: {TOKEN}\r\n")),
        ("/sdk/", String::new()),
        ("/sdk/wrong-token", String::new()),
        // a path with a wrong token is not opened by a header
        (
            "/sdk/wrong-token",
            format!("X-Amz-Security-Token: {TOKEN}\r\n"),
        ),
    ] {
        let refused = world
            .agent
            .call_with(path, &headers, "GetSecretValue", body)
            .await;
        assert_eq!(
            refused.json()["__type"],
            "UnrecognizedClientException",
            "{path} {headers}"
        );
        assert_eq!(refused.status, 400);
    }
    for path in [format!("/sdk/{TOKEN}"), format!("/sdk/{TOKEN}/")] {
        let read = world
            .agent
            .call_with(&path, "", "GetSecretValue", body)
            .await;
        assert_eq!(read.value(), "one");
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused_and_not_quoted() {
    let world = world("").await;
    let headers = format!("X-Amz-Security-Token: {TOKEN}\r\n");
    for body in [
        "",
        "{",
        "[]",
        r#"{"SecretId":7}"#,
        r#"{"SecretId":{"a":"s3cret"}}"#,
    ] {
        let refused = world
            .agent
            .call_with("/", &headers, "GetSecretValue", body)
            .await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["__type"], "SerializationException");
        assert!(!refused.body.contains("s3cret"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_throttled_upstream_call_is_answered_as_throttling() {
    let world = world("").await;
    world.fail(400, "ThrottlingException", 1000);
    let refused = world
        .agent
        .call("GetSecretValue", json!({ "SecretId": "a" }))
        .await;
    assert_eq!(refused.json()["__type"], "ThrottlingException");
}

#[tokio::test]
async fn boto3_is_served_from_the_cache_with_its_session_token_or_the_token_in_the_path() {
    let world = world("").await;
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
    let log = world.agent.log();
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
        eprintln!(
            "skipped: python3 has no aws-lambda-powertools; pip install aws-lambda-powertools"
        );
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
        eprintln!(
            "skipped: node has no SDK; npm install --prefix .tools/javascript @aws-sdk/client-secrets-manager"
        );
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
            eprintln!("skipped: the AWS CLI is not installed; make setup installs it");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["SecretString"], "one");
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_batch_waits_for_its_slowest_secret_and_not_for_one_after_another() {
    let world = world("").await;
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    for name in &names {
        world.create(name, name).await;
    }
    let late = std::time::Duration::from_millis(300);
    world.inject(Behavior::Delay(late), names.len());
    let began = std::time::Instant::now();
    let read = world
        .agent
        .call("BatchGetSecretValue", json!({ "SecretIdList": names }))
        .await;
    assert_eq!(read.json()["SecretValues"].as_array().unwrap().len(), 20);
    assert!(
        began.elapsed() < late * 20,
        "one after the other takes {:?}",
        late * 20
    );
}
