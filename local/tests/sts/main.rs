//! Roles that are assumed: through the socket, with the SDK, with the AWS CLI.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;
mod tools;
mod trust;
mod words;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_secretsmanager::{
    Client,
    config::{Credentials, ProvideCredentials},
};
use common::{REGION, invoked, refused, serve};
use local::{control, invocation::Invoke, secrets_manager::SecretsManager, sts};
use serde_json::{Value, json};

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

    async fn client(&self, session: &Session) -> Client {
        let (key, token) = (session.key.clone(), session.token.clone());
        let credentials = Credentials::new(key, "any", Some(token), None, "test");
        Client::new(&self.sdk(credentials).await)
    }

    async fn sdk(&self, credentials: impl ProvideCredentials + 'static) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(format!("http://{}", self.address))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .load()
            .await
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
    let client = world.client(&session(&answer)).await;
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
async fn a_session_ends_after_its_time_on_the_worlds_clock_and_is_nothing_without_its_token() {
    let world = World::start().await;
    let held = session(&world.assume("AKIAANY", "reader").await);
    let client = world.client(&held).await;
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
        let client = world.client(&session).await;
        let read = client.get_secret_value().secret_id("demo");
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
    let client = world.client(&session(&answer)).await;
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
