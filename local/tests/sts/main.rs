//! Roles that are assumed: with the SDK, with the AWS CLI.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;
mod tools;
mod trust;
mod words;

use std::{net::SocketAddr, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_secretsmanager::{
    Client,
    config::{Credentials, ProvideCredentials},
};
use aws_sdk_sts::operation::assume_role::{AssumeRoleOutput, builders::AssumeRoleFluentBuilder};
use common::{REGION, refused, serve_with_all, service};
use local::secrets_manager::SecretsManager;
use serde_json::{Value, json};

struct World {
    service: SecretsManager,
    address: SocketAddr,
}

impl World {
    /// With the secret `demo`, and the role `reader`, which may read and whom the account trusts.
    async fn start() -> Self {
        let service = service();
        let address = serve_with_all(&service).await;
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

    async fn sts(&self, who: &Credentials) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.sdk(who.clone()).await)
    }

    /// A session `nightly`.
    async fn assume(&self, who: &Credentials, role: &str) -> AssumeRoleFluentBuilder {
        let assume = self.sts(who).await.assume_role();
        let arn = format!("arn:aws:iam::123456789012:role/{role}");
        assume.role_arn(arn).role_session_name("nightly")
    }

    async fn session(&self, who: &Credentials, role: &str) -> Credentials {
        given(&self.assume(who, role).await.send().await.unwrap())
    }

    async fn client(&self, who: &Credentials) -> Client {
        Client::new(&self.sdk(who.clone()).await)
    }
}

fn key(id: &str) -> Credentials {
    Credentials::new(id, "any", None, None, "test")
}

/// What AssumeRole gave, without its end, so that the SDK does not look at it.
fn given(answer: &AssumeRoleOutput) -> Credentials {
    let given = answer.credentials().unwrap();
    let token = Some(given.session_token().to_owned());
    Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        token,
        None,
        "test",
    )
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

#[tokio::test]
async fn the_callers_identity_needs_no_permission() {
    let world = World::start().await;
    let sts = world.sts(&key("AKIAANY")).await;
    let answer = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(answer.arn(), Some("arn:aws:iam::123456789012:root"));
    assert_eq!(answer.account(), Some("123456789012"));
    assert_eq!(answer.user_id(), Some("123456789012"));

    world.restrict("AKIAMACHINE", "machine", policy("Deny", "*", "*"));
    let sts = world.sts(&key("AKIAMACHINE")).await;
    let answer = sts.get_caller_identity().send().await.unwrap();
    let arn = "arn:aws:sts::123456789012:assumed-role/machine/local";
    assert_eq!(answer.arn(), Some(arn));
    assert!(answer.user_id().unwrap().ends_with(":local"));
}

#[tokio::test]
async fn a_session_has_the_rights_of_its_role_and_its_own_name() {
    let world = World::start().await;
    let answer = world.assume(&key("AKIAANY"), "reader").await.send().await;
    let answer = answer.unwrap();
    let arn = "arn:aws:sts::123456789012:assumed-role/reader/nightly";
    let user = answer.assumed_role_user().unwrap();
    assert_eq!(user.arn(), arn);
    let session = given(&answer);
    let sts = world.sts(&session).await;
    let told = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(told.arn(), Some(arn));
    assert_eq!(told.user_id(), Some(user.assumed_role_id()));

    let client = world.client(&session).await;
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
async fn a_session_ends_after_its_time_on_the_worlds_clock() {
    let world = World::start().await;
    for (asked, lasts) in [(None, 3600), (Some(900), 900)] {
        let now = || world.service.clock().now().timestamp() + lasts;
        let assume = world.assume(&key("AKIAANY"), "reader").await;
        let earliest = now();
        let answer = assume.set_duration_seconds(asked).send().await.unwrap();
        let end = answer.credentials().unwrap().expiration().secs();
        assert!((earliest..=now()).contains(&end), "{asked:?}: {end}");

        let session = given(&answer);
        let client = world.client(&session).await;
        let read = || client.get_secret_value().secret_id("demo").send();
        let half = Duration::from_secs(lasts.unsigned_abs() / 2);
        world.service.advance(half).unwrap();
        read().await.unwrap();
        world.service.advance(half).unwrap();
        let (code, message) = refused(read().await);
        assert_eq!(code, "ExpiredTokenException");
        let words = "The security token included in the request is expired";
        assert_eq!(message, words);
        let sts = world.sts(&session).await;
        let told = sts.get_caller_identity().send().await;
        assert_eq!(refused(told).0, "ExpiredToken");
    }
}

#[tokio::test]
async fn an_unknown_session_key_or_one_without_its_token_is_refused() {
    let world = World::start().await;
    let session = world.session(&key("AKIAANY"), "reader").await;
    let held = |token: Option<&str>| {
        let (id, token) = (session.access_key_id(), token.map(str::to_owned));
        Credentials::new(id, "any", token, None, "test")
    };
    for who in [held(Some("another")), held(None), key("ASIAOFANOTHERWORLD")] {
        let client = world.client(&who).await;
        let read = client.get_secret_value().secret_id("demo");
        let (code, message) = refused(read.send().await);
        assert_eq!(code, "UnrecognizedClientException");
        assert_eq!(
            message,
            "The security token included in the request is invalid."
        );
        let assumed = world.assume(&who, "reader").await.send().await;
        assert_eq!(refused(assumed).0, "InvalidClientTokenId");
    }
}

#[tokio::test]
async fn a_session_that_assumes_the_next_role_lasts_an_hour_at_most() {
    let world = World::start().await;
    let may = |role: &str| {
        allow(
            "sts:AssumeRole",
            &format!("arn:aws:iam::123456789012:role/{role}"),
        )
    };
    world.define("first", trust("123456789012"), &[may("second")]);
    let first = "arn:aws:iam::123456789012:role/first";
    world.define("second", trust(first), &[may("reader")]);
    let first = world.session(&key("AKIAANY"), "first").await;
    let second = world.session(&first, "second").await;
    let third = world.session(&second, "reader").await;
    let client = world.client(&third).await;
    let read = client.get_secret_value().secret_id("demo").send().await;
    assert_eq!(read.unwrap().secret_string(), Some("one"));

    let skips = world.assume(&first, "reader").await.send().await;
    assert_eq!(refused(skips).0, "AccessDenied");
    let long = world.assume(&first, "second").await.duration_seconds(3601);
    let (code, message) = refused(long.send().await);
    assert_eq!(code, "ValidationError");
    assert!(message.contains("role chaining"), "{message}");
}
