//! Roles that are assumed: through the socket, with the SDK, with the AWS CLI.

#![cfg(test)]

mod common;

use std::{
    net::SocketAddr,
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use aws_config::{SdkConfig, sts::AssumeRoleProvider};
use aws_sdk_secretsmanager::{
    Client,
    config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider, retry::RetryConfig},
};
use common::{REGION, invoked, refused, serve};
use local::{control, invocation::Invoke, secrets_manager::SecretsManager, sts};
use serde_json::{Value, json};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(60 * 60);

struct World {
    service: SecretsManager,
    address: SocketAddr,
}

/// What AssumeRole gave.
struct Session {
    key: String,
    token: String,
}

impl World {
    /// With the secret `demo`, and the role `reader`, which may read and whom the account trusts.
    async fn start() -> Self {
        let invoke: Invoke = Arc::new(|event| Box::pin(async { invoked(Ok(event)) }));
        let service = SecretsManager::new(REGION, invoke);
        let router = service.router().merge(control::router(&service));
        let address = serve(sts::beside(router, service.iam().clone())).await;
        let input = json!({ "Name": "demo", "SecretString": "one" });
        service.call("CreateSecret", input).await.unwrap();
        let world = Self { service, address };
        let read = allow("secretsmanager:GetSecretValue", "*");
        world.define("reader", trust("123456789012"), &[read]);
        world
    }

    fn define(&self, role: &str, trust: Value, policies: &[Value]) {
        self.service.iam().define(role, &trust, policies).unwrap();
    }

    /// Gives the machine with this key a role of its own, which may do this.
    fn restrict(&self, key: &str, role: &str, policy: Value) {
        let iam = self.service.iam();
        iam.restrict(key, role, &[policy]).unwrap();
    }

    /// An operation of STS, as this key asks for it.
    async fn ask(&self, key: &str, token: &str, form: &str) -> String {
        let headers = format!(
            "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/{REGION}/sts/aws4_request\r\n\
             X-Amz-Security-Token: {token}\r\n"
        );
        let form = format!("Version=2011-06-15&Action={form}");
        common::post(self.address, "/", &headers, &form).await
    }

    async fn assume_as(&self, session: &Session, role: &str) -> String {
        let arn = format!("arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F{role}");
        let form = format!("AssumeRole&RoleArn={arn}&RoleSessionName=nightly");
        self.ask(&session.key, &session.token, &form).await
    }

    async fn assume(&self, key: &str, role: &str) -> String {
        let (key, token) = (key.to_owned(), String::new());
        self.assume_as(&Session { key, token }, role).await
    }

    fn client(&self, session: &Session) -> Client {
        let (key, token) = (session.key.clone(), session.token.clone());
        let credentials = Credentials::new(key, "any", Some(token), None, "test");
        self.client_with(SharedCredentialsProvider::new(credentials))
    }

    fn client_with(&self, credentials: SharedCredentialsProvider) -> Client {
        let config = aws_sdk_secretsmanager::config::Builder::from(&self.sdk())
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    fn sdk(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(format!("http://{}", self.address))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build()
    }

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

/// Who the policy of a role lets assume it.
fn trust(principal: impl Into<Value>) -> Value {
    json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "AWS": principal.into() }, "Action": "sts:AssumeRole",
    } })
}

fn allow(action: &str, resource: &str) -> Value {
    policy("Allow", action, resource)
}

fn policy(effect: &str, action: &str, resource: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": { "Effect": effect, "Action": action, "Resource": resource } })
}

/// What stands in an element of an answer.
#[track_caller]
fn element<'a>(answer: &'a str, name: &str) -> &'a str {
    let (_, rest) = answer
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("no {name}: {answer}"));
    rest.split_once('<').unwrap().0
}

#[track_caller]
fn session(answer: &str) -> Session {
    Session {
        key: element(answer, "AccessKeyId").to_owned(),
        token: element(answer, "SessionToken").to_owned(),
    }
}

#[tokio::test]
async fn who_calls_is_told_also_where_nothing_is_allowed() {
    let world = World::start().await;
    let answer = world.ask("AKIAANY", "", "GetCallerIdentity").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(element(&answer, "Arn"), "arn:aws:iam::123456789012:root");
    assert_eq!(element(&answer, "Account"), "123456789012");

    world.restrict("AKIAMACHINE", "machine", policy("Deny", "*", "*"));
    let answer = world.ask("AKIAMACHINE", "", "GetCallerIdentity").await;
    let arn = "arn:aws:sts::123456789012:assumed-role/machine/local";
    assert_eq!(element(&answer, "Arn"), arn);
    assert!(element(&answer, "UserId").ends_with(":local"));
}

#[tokio::test]
async fn who_has_assumed_a_role_may_do_what_it_may_under_the_sessions_name() {
    let world = World::start().await;
    let answer = world.assume("AKIAANY", "reader").await;
    let arn = "arn:aws:sts::123456789012:assumed-role/reader/nightly";
    assert_eq!(element(&answer, "Arn"), arn);
    let client = world.client(&session(&answer));
    let read = client.get_secret_value().secret_id("demo").send().await;
    assert_eq!(read.unwrap().secret_string(), Some("one"));
    let described = client.describe_secret().secret_id("demo").send().await;
    let (code, message) = refused(described);
    assert_eq!(code, "AccessDeniedException");
    assert!(
        message.starts_with(&format!("User: {arn} is not authorized")),
        "{message}"
    );

    // what the role may is looked up at each call
    world.define("reader", trust("123456789012"), &[]);
    let read = client.get_secret_value().secret_id("demo").send().await;
    assert_eq!(refused(read).0, "AccessDeniedException");
}

#[tokio::test]
async fn the_trust_policy_and_the_callers_own_decide_who_may_assume_a_role() {
    let world = World::start().await;
    let machine = "arn:aws:iam::123456789012:role/machine";
    let local = "arn:aws:sts::123456789012:assumed-role/machine/local";
    let (none, own) = (policy("Allow", "s3:*", "*"), allow("sts:AssumeRole", "*"));
    let other = allow("sts:AssumeRole", "arn:aws:iam::123456789012:role/other");
    let deny = policy("Deny", "sts:AssumeRole", "*");
    let mut denies = trust(machine);
    denies["Statement"]["Effect"] = "Deny".into();
    let no_identity = "because no identity-based policy allows the sts:AssumeRole action";
    let identity = "with an explicit deny in an identity-based policy";
    let trusted = "with an explicit deny in the role trust policy";
    let silent = "on resource: arn:aws:iam::123456789012:role/target";
    for (trust, policy, refusal) in [
        (trust("123456789012"), &own, None),
        (trust("123456789012"), &none, Some(no_identity)),
        (trust("123456789012"), &other, Some(no_identity)),
        (trust("arn:aws:iam::123456789012:root"), &own, None),
        (trust(machine), &none, None),
        (trust(local), &none, None),
        (trust("*"), &none, None),
        (trust(machine), &deny, Some(identity)),
        (trust("210987654321"), &own, Some(silent)),
        (
            trust("arn:aws:iam::123456789012:role/reader"),
            &own,
            Some(silent),
        ),
        (denies, &own, Some(trusted)),
    ] {
        let case = format!("{trust} {policy}");
        world.define("target", trust, &[]);
        world.restrict("AKIAMACHINE", "machine", policy.clone());
        let answer = world.assume("AKIAMACHINE", "target").await;
        match refusal {
            None => assert!(answer.starts_with("HTTP/1.1 200"), "{case}: {answer}"),
            Some(words) => {
                assert!(answer.starts_with("HTTP/1.1 403"), "{case}: {answer}");
                assert_eq!(element(&answer, "Code"), "AccessDenied", "{case}");
                let message = element(&answer, "Message");
                assert!(message.ends_with(words), "{case}: {message}");
                assert!(
                    message.starts_with(&format!("User: {local} is not")),
                    "{message}"
                );
            }
        }
    }
    let absent = world.assume("AKIAMACHINE", "absent").await;
    let message = element(&absent, "Message");
    assert!(
        message.ends_with("role/absent"),
        "it is not told from one that is not trusted: {message}"
    );
}

#[tokio::test]
async fn a_condition_on_the_external_id_keeps_out_who_does_not_know_it() {
    let world = World::start().await;
    let mut trust = trust("123456789012");
    trust["Statement"]["Condition"] = json!({ "StringEquals": { "sts:ExternalId": "e1" } });
    world.define("reader", trust, &[]);
    let form = "AssumeRole&RoleArn=arn:aws:iam::123456789012:role/reader&RoleSessionName=x.y";
    for (id, code) in [
        ("", "403"),
        ("&ExternalId=e2", "403"),
        ("&ExternalId=e1", "200"),
    ] {
        let answer = world.ask("AKIAANY", "", &format!("{form}{id}")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}")),
            "{id}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_session_ends_after_its_time_on_the_worlds_clock_and_is_nothing_without_its_token() {
    let world = World::start().await;
    let held = session(&world.assume("AKIAANY", "reader").await);
    let client = world.client(&held);
    let read = || client.get_secret_value().secret_id("demo").send();
    world.service.advance(HOUR / 2).unwrap();
    read().await.unwrap();
    world.service.advance(HOUR / 2).unwrap();
    let (code, message) = refused(read().await);
    assert_eq!(code, "ExpiredTokenException");
    assert_eq!(
        message,
        "The security token included in the request is expired"
    );
    let answer = world.ask(&held.key, &held.token, "GetCallerIdentity").await;
    assert_eq!(element(&answer, "Code"), "ExpiredToken");

    let held = session(&world.assume("AKIAANY", "reader").await);
    for (key, token) in [(&*held.key, "another"), ("ASIAOFANOTHERWORLD", "any")] {
        let (key, token) = (key.to_owned(), token.to_owned());
        let session = Session { key, token };
        let read = world.client(&session).get_secret_value().secret_id("demo");
        assert_eq!(refused(read.send().await).0, "UnrecognizedClientException");
        let answer = world.assume_as(&session, "reader").await;
        assert_eq!(element(&answer, "Code"), "InvalidClientTokenId");
    }
}

#[tokio::test]
async fn a_role_that_was_assumed_assumes_the_next_one_for_an_hour_at_most() {
    let world = World::start().await;
    let first = allow("sts:AssumeRole", "arn:aws:iam::123456789012:role/reader");
    world.define("first", trust("123456789012"), &[first]);
    let held = session(&world.assume("AKIAANY", "first").await);
    let answer = world.assume_as(&held, "reader").await;
    let client = world.client(&session(&answer));
    client
        .get_secret_value()
        .secret_id("demo")
        .send()
        .await
        .unwrap();

    let form = "AssumeRole&RoleArn=arn:aws:iam::123456789012:role/reader&RoleSessionName=xy&DurationSeconds=3601";
    let answer = world.ask(&held.key, &held.token, form).await;
    assert!(
        element(&answer, "Message").contains("role chaining"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_sts_does_not_take_is_refused_in_its_words_and_what_is_not_served_by_name() {
    let world = World::start().await;
    let arn = "RoleArn=arn:aws:iam::123456789012:role/reader";
    for (form, code, words) in [
        (
            "GetSessionToken".to_owned(),
            "InvalidAction",
            "GetSessionToken; use the real service",
        ),
        (String::new(), "InvalidAction", "no operation"),
        (
            format!("AssumeRole&{arn}"),
            "ValidationError",
            "'roleSessionName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "AssumeRole&RoleSessionName=xy".to_owned(),
            "ValidationError",
            "'roleArn'",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=x"),
            "ValidationError",
            "length greater than or equal to 2",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=a%20b"),
            "ValidationError",
            "pattern",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName={}", "x".repeat(65)),
            "ValidationError",
            "less than or equal to 64",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=899"),
            "ValidationError",
            "equal to 900",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=3601"),
            "ValidationError",
            "MaxSessionDuration",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=43201"),
            "ValidationError",
            "equal to 43200",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&DurationSeconds=long"),
            "ValidationError",
            "number",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=xy&Policy=%7B%7D"),
            "InvalidParameterValue",
            "Policy",
        ),
        (
            format!("AssumeRole&{arn}&RoleSessionName=%3Ca%26"),
            "ValidationError",
            "'&lt;a&amp;'",
        ),
    ] {
        let answer = world.ask("AKIAANY", "", &form).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{form}: {answer}");
        assert_eq!(element(&answer, "Code"), code, "{form}");
        assert!(answer.contains(words), "{form}: {answer}");
    }
}

#[tokio::test]
async fn the_aws_cli_follows_a_profile_with_a_role_and_a_chain_of_them() {
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
    let base = Credentials::new("AKIABASE", "any", None, None, "test");
    let provider = AssumeRoleProvider::builder("arn:aws:iam::123456789012:role/reader")
        .session_name("nightly")
        .configure(&world.sdk())
        .build_from_provider(base)
        .await;
    let client = world.client_with(SharedCredentialsProvider::new(provider));
    let read = client.get_secret_value().secret_id("demo").send().await;
    assert_eq!(read.unwrap().secret_string(), Some("one"));
    let described = client.describe_secret().secret_id("demo").send().await;
    let (_, message) = refused(described);
    assert!(message.contains("assumed-role/reader/nightly"), "{message}");
}
