//! The configuration in AWS's environment and files, and the errors when something is missing: that is no outage.
#![cfg(feature = "aws")]
#![cfg(test)]

mod common;

use std::{fs, path::Path};

use common::{
    closed_port,
    stores::{in_environment, tell_text},
};
use local::world::{Options, World};
use rotating_secret::{
    RotatingSecret,
    provider::{Aws, SecretProvider, Stage},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};

#[tokio::test]
#[ignore = "run by the tests below, each in an environment of its own"]
async fn child() {
    let built = match Aws::from_env().await {
        Ok(provider) => {
            let built = RotatingSecret::builder("orders/db").build(provider).await;
            built.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    tell_text(&match built {
        Ok(secret) => format!("read {}", secret.id()),
        Err(error) => error,
    });
}

#[tokio::test]
#[ignore = "run by the tests below: one question only, for what is asked again"]
async fn child_asks_once() {
    let provider = Aws::from_env().await.unwrap();
    let answer = provider.fetch("orders/db", Stage::Current).await;
    tell_text(&answer.map_or_else(|error| error.to_string(), |version| version.id));
}

#[tokio::test]
#[ignore = "run by the tests below: the second of two questions"]
async fn child_asks_twice() {
    let provider = Aws::from_env().await.unwrap();
    let _ = provider.fetch("orders/db", Stage::Current).await;
    let answer = provider.fetch("orders/db", Stage::Current).await;
    tell_text(&answer.map_or_else(|error| error.to_string(), |version| version.id));
}

/// For a variable that is set in these tests, except in one.
const UNSET: &str = "unset";

/// A home folder with these AWS files, and a store.
struct Machine {
    home: TempDir,
    world: World,
}

impl Machine {
    async fn with(config: &str) -> Self {
        let world = World::start(Options::new("none")).await.unwrap();
        let input = json!({ "Name": "orders/db", "SecretString": "x" });
        let created = world.secrets_manager().call("CreateSecret", input).await;
        created.unwrap();
        let home = TempDir::new().unwrap();
        fs::write(home.path().join("config"), config).unwrap();
        Self { home, world }
    }

    async fn reports(&self, variables: &[(&str, &str)]) -> String {
        self.run("child", variables).await
    }

    async fn run(&self, test: &str, variables: &[(&str, &str)]) -> String {
        let home = self.home.path();
        let config = home.join("config").display().to_string();
        let mut all = vec![
            ("HOME", home.to_str().unwrap()),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.world.endpoint()),
        ];
        all.extend_from_slice(variables);
        all.retain(|(_, value)| *value != UNSET);
        all.retain(|(name, _)| !variables.contains(&(*name, UNSET)));
        in_environment(test, &all).await
    }
}

fn assert_reports(reported: &str, parts: &[&str]) {
    // no other kind of error is reported at once
    for part in parts.iter().chain(&["invalid: "]) {
        assert!(reported.contains(part), "{part:?} is not in: {reported}");
    }
    assert!(!reported.contains("check the route"), "{reported}");
}

#[tokio::test]
async fn without_credentials_an_error_says_at_once_which_variables_to_set() {
    let machine = Machine::with("").await;
    let reported = machine.reports(&[]).await;
    let parts = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "config",
    ];
    assert_reports(&reported, &parts);
}

#[tokio::test]
async fn an_incomplete_key_is_an_error_that_names_the_missing_half() {
    let machine = Machine::with("").await;
    let reported = machine.reports(&[("AWS_ACCESS_KEY_ID", "AKIA")]).await;
    assert_reports(
        &reported,
        &["AWS_ACCESS_KEY_ID is set", "AWS_SECRET_ACCESS_KEY is not"],
    );
}

#[tokio::test]
async fn without_a_region_an_error_says_where_to_set_one() {
    let machine = Machine::with("").await;
    for region in ["", UNSET] {
        let keys = [
            ("AWS_REGION", region),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ];
        let reported = machine.reports(&keys).await;
        assert_reports(&reported, &["no region", "AWS_REGION", "config"]);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_a_url_is_an_error_at_once() {
    let machine = Machine::with("").await;
    for endpoint in ["not a url", "127.0.0.1:1"] {
        let variables = [
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ];
        let reported = machine.reports(&variables).await;
        assert_reports(&reported, &["endpoint"]);
    }
}

#[tokio::test]
async fn an_unknown_profile_is_an_error_with_its_name_and_the_file() {
    let machine = Machine::with("[profile other]\nregion = us-east-1\n").await;
    for region in ["us-east-1", UNSET] {
        let variables = [("AWS_PROFILE", "typo"), ("AWS_REGION", region)];
        let reported = machine.reports(&variables).await;
        assert_reports(&reported, &["AWS_PROFILE", "typo", "config"]);
    }
}

#[tokio::test]
async fn an_invalid_configuration_file_is_an_error_with_its_name() {
    let machine = Machine::with("[default\n").await;
    let reported = machine.reports(&[]).await;
    assert_reports(&reported, &["config", "could not parse profile file"]);
}

#[tokio::test]
async fn the_error_of_a_profile_is_also_the_error_of_the_next_request() {
    let machine = Machine::with("[default\n").await;
    let reported = machine.run("child_asks_twice", &[]).await;
    assert_reports(&reported, &["config", "could not parse profile file"]);
}

#[tokio::test]
async fn a_profile_that_needs_sso_is_an_error_that_says_how_to_sign_in() {
    let sso = "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = reader\n\
               [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example.com/start\n";
    let machine = Machine::with(sso).await;
    let reported = machine.reports(&[("AWS_PROFILE", "dev")]).await;
    assert_reports(&reported, &["aws sso login --profile dev"]);
}

/// A script with this body, and the profile that runs it.
fn process(home: &Path, body: &str) {
    let script = home.join("credentials.sh");
    fs::write(&script, body).unwrap();
    let profile = format!(
        "[profile dev]\ncredential_process = sh {}\n",
        script.display()
    );
    fs::write(home.join("config"), profile).unwrap();
}

#[tokio::test]
async fn a_profile_that_names_a_credential_process_loads() {
    let machine = Machine::with("").await;
    let keys = r#"{"Version":1,"AccessKeyId":"local","SecretAccessKey":"local"}"#;
    process(machine.home.path(), &format!("echo '{keys}'\n"));
    let reported = machine.reports(&[("AWS_PROFILE", "dev")]).await;
    assert_eq!(reported, "read orders/db");
}

#[tokio::test]
async fn a_failed_credential_process_is_an_error_with_its_output() {
    let machine = Machine::with("").await;
    process(
        machine.home.path(),
        "echo 'the vault is locked' >&2\nexit 3\n",
    );
    let reported = machine.reports(&[("AWS_PROFILE", "dev")]).await;
    assert_reports(
        &reported,
        &["credential_process", "dev", "the vault is locked"],
    );
}

#[tokio::test]
async fn an_unreadable_answer_of_a_credential_process_is_an_error_without_the_answer() {
    let machine = Machine::with("").await;
    process(machine.home.path(), "echo 's3cret'\n");
    let reported = machine.reports(&[("AWS_PROFILE", "dev")]).await;
    assert_reports(&reported, &["credential_process", "dev"]);
    assert!(!reported.contains("s3cret"), "{reported}");
}

/// An STS that answers every call like this.
async fn sts(status: &'static str, code: &str) -> (String, JoinHandle<()>) {
    let body = format!(
        "<ErrorResponse><Error><Code>{code}</Code><Message>as it was reported</Message></Error></ErrorResponse>"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", server.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut call, _)) = server.accept().await {
            let mut question = [0; 8192];
            let _ = call.read(&mut question).await;
            let _ = call.write_all(answer.as_bytes()).await;
        }
    });
    (address, task)
}

#[tokio::test]
async fn an_error_of_sts_for_a_role_keeps_its_kind() {
    let machine = Machine::with("").await;
    let token = machine.home.path().join("token");
    fs::write(&token, "t0ken").unwrap();
    for (status, code, kind) in [
        ("403 Forbidden", "AccessDenied", "access denied: "),
        ("500 Oh", "InternalFailure", "unavailable: "),
        ("400 Bad Request", "Throttling", "throttled: "),
        ("400 Bad Request", "ValidationError", "invalid: "),
    ] {
        let (sts, _task) = sts(status, code).await;
        let variables = [
            ("AWS_ENDPOINT_URL_STS", &*sts),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
        ];
        let reported = machine.run("child_asks_once", &variables).await;
        assert!(reported.starts_with(kind), "{code}: {reported}");
        assert!(reported.contains("as it was reported"), "{reported}");
        assert!(!reported.contains("t0ken"), "{reported}");
    }
}

/// An address without a listener.
fn nobody() -> (TcpSocket, String) {
    let (held, port) = closed_port();
    (held, format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
async fn a_configured_container_or_instance_that_does_not_answer_is_an_outage() {
    let machine = Machine::with("").await;
    let (_held, nobody) = nobody();
    for variables in [
        [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*nobody),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ],
        [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*nobody),
            ("AWS_EC2_METADATA_DISABLED", "false"),
        ],
    ] {
        let reported = machine.run("child_asks_once", &variables).await;
        assert!(reported.starts_with("unavailable: "), "{reported}");
        assert!(reported.contains("Connection refused"), "{reported}");
        assert!(reported.contains(variables[0].0), "{reported}");
    }
}
