//! The provider for AWS's Secrets Manager Agent and its Lambda extension, against a stand-in that answers as they document.
#![cfg(feature = "agent")]
#![cfg(test)]

mod common;

use std::{fs, time::Duration};

use common::stores::{begin_tracing, in_environment, tell, text, traced};
use local::secrets_manager_agent::{Agent as Standin, Fault};
use nix::{sys::stat::Mode, unistd::mkfifo};
use rotating_secret::{
    Attempt, BuildError, CredentialGuard, Error, RotatingSecret,
    provider::{Agent, ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage},
};
use serde_json::json;

const TOKEN: &str = "the-t0ken-of-these-tests";
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";

fn document(version: &str) -> String {
    format!(r#"{{"host":"db","username":"orders","password":"s3cret of {version}"}}"#)
}

/// An agent with this version of the secret.
async fn agent(version: &str) -> (Standin, Agent) {
    let agent = Standin::start(TOKEN, true).await.unwrap();
    set(&agent, CURRENT, version);
    let provider = Agent::with_token(agent.port(), TOKEN);
    (agent, provider)
}

fn set(agent: &Standin, label: &str, version: &str) {
    agent.set("orders/db", label, version, &document(version));
}

async fn secret(provider: &Agent) -> RotatingSecret {
    let builder = RotatingSecret::builder("orders/db").lag(Duration::ZERO);
    builder.build(provider.clone()).await.unwrap()
}

async fn failure(provider: &Agent) -> ProviderError {
    let fetched = provider.fetch("orders/db", Stage::Current).await;
    let error = fetched.unwrap_err();
    let shown = format!("{error} {error:?} {provider:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("t0ken"),
        "{shown}"
    );
    error
}

/// A login that succeeds only with this version.
async fn log_in(secret: &RotatingSecret, good: &'static str) -> Result<String, String> {
    let attempt = |credential: CredentialGuard| async move {
        let version = credential.version().to_owned();
        match version == good {
            true => Ok(version),
            false => Err(Attempt::Rejected(std::fmt::Error)),
        }
    };
    let logged_in = secret.log_in(attempt).await;
    logged_in.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_version_has_its_id_and_the_arn_that_notifications_use() {
    let (_agent, provider) = agent("v1").await;
    let version = provider.fetch("orders/db", Stage::Current).await.unwrap();
    assert_eq!(version.id, "v1");
    assert_eq!(text(&version), document("v1"));
    assert!(version.arn.unwrap().ends_with(":secret:orders/db-AbCdEf"));
}

#[tokio::test]
async fn after_its_lifetime_a_secret_comes_from_the_agent_and_after_a_rejected_login_from_secrets_manager()
 {
    let (agent, provider) = agent("v1").await;
    let secret = secret(&provider).await;
    set(&agent, CURRENT, "v2");
    let cached = provider.fetch("orders/db", Stage::Current).await.unwrap();
    assert_eq!(cached.id, "v1");
    assert_eq!(log_in(&secret, "v2").await.unwrap(), "v2");
    // now the agent has it too
    let cached = provider.fetch("orders/db", Stage::Current).await.unwrap();
    assert_eq!(cached.id, "v2");
    // the last of two rotations
    set(&agent, CURRENT, "v3");
    set(&agent, CURRENT, "v4");
    assert_eq!(secret.refresh().await.unwrap().version(), "v4");
}

#[tokio::test]
async fn recovery_reads_the_pending_version_from_secrets_manager_and_not_from_the_agents_cache() {
    let (agent, provider) = agent("v1").await;
    let secret = secret(&provider).await;
    set(&agent, PENDING, "v2");
    assert_eq!(log_in(&secret, "v2").await.unwrap(), "v2");
    // that rotation was abandoned, and the next one has begun: the agent's cache has the first
    set(&agent, PENDING, "v3");
    assert_eq!(log_in(&secret, "v3").await.unwrap(), "v3");
    set(&agent, CURRENT, "v3");
    agent.remove("orders/db", PENDING);
    let absent = provider.fetch("orders/db", Stage::Pending).await;
    assert_eq!(absent.unwrap_err().kind(), Kind::NotFound);
    let current = secret.refresh().await.unwrap();
    assert_eq!((current.version(), current.stage()), ("v3", Stage::Current));
}

#[tokio::test]
async fn an_extension_without_refresh_now_is_asked_without_it_and_causes_one_warning() {
    begin_tracing();
    let agent = Standin::start(TOKEN, false).await.unwrap();
    set(&agent, CURRENT, "v1");
    let provider = Agent::with_token(agent.port(), TOKEN);
    let secret = secret(&provider).await;
    set(&agent, CURRENT, "v2");
    // its cache ends first
    let rejected = log_in(&secret, "v2").await.unwrap_err();
    assert!(rejected.contains("rejects every version"), "{rejected}");
    agent.expire();
    assert_eq!(log_in(&secret, "v2").await.unwrap(), "v2");
    let with: Vec<_> = agent.queries();
    let with = with.iter().filter(|query| query.contains("refreshNow"));
    assert_eq!(with.count(), 1);
    let traced = traced();
    assert_eq!(
        traced.matches("does not bypass its cache").count(),
        1,
        "{traced}"
    );
    assert!(
        !traced.contains("s3cret") && !traced.contains("t0ken"),
        "{traced}"
    );
}

#[tokio::test]
async fn an_agent_that_is_busy_for_a_while_does_not_count_as_one_without_refresh_now() {
    let (agent, provider) = agent("v1").await;
    let not_ready = "not ready to serve traffic, please wait";
    agent.fail(Fault::Answer(400, not_ready.to_owned()));
    let refused = provider.fetch_uncached("orders/db", Stage::Current).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Unavailable);
    set(&agent, CURRENT, "v2");
    let found = provider.fetch_uncached("orders/db", Stage::Current).await;
    assert_eq!(found.unwrap().id, "v2");
    assert!(agent.queries()[0].contains("refreshNow=true"));
}

#[tokio::test]
async fn after_another_error_an_agent_still_counts_as_one_with_refresh_now() {
    for faults in [
        &[(400, "not ready to serve traffic, please wait")][..],
        &[(400, "Forwarded"), (500, r#"{"__type":"InternalFailure"}"#)],
    ] {
        let (agent, provider) = agent("v1").await;
        for (status, body) in faults {
            agent.fail(Fault::Answer(*status, (*body).to_owned()));
        }
        let _ = provider.fetch_uncached("orders/db", Stage::Current).await;
        provider.fetch("orders/db", Stage::Current).await.unwrap();
        set(&agent, CURRENT, "v2");
        let found = provider.fetch_uncached("orders/db", Stage::Current).await;
        assert_eq!(found.unwrap().id, "v2", "{faults:?}");
    }
}

#[tokio::test]
async fn a_secret_is_absent_only_if_the_agent_says_so() {
    let (agent, provider) = agent("v1").await;
    let absent = provider.fetch("stock/db", Stage::Current).await;
    assert_eq!(absent.unwrap_err().kind(), Kind::NotFound);
    let denied = r#"{"__type":"AccessDeniedException", "message":"s3cret"}"#;
    for (fault, kind) in [
        (Fault::Answer(400, denied.to_owned()), Kind::AccessDenied),
        (
            Fault::Answer(429, "Connection limit exceeded".to_owned()),
            Kind::Throttled,
        ),
        (
            Fault::Answer(500, r#"{"__type":"InternalFailure"}"#.to_owned()),
            Kind::Unavailable,
        ),
        (Fault::Answer(404, "Not found".to_owned()), Kind::Invalid),
        (Fault::Answer(200, "\"s3cret\"".to_owned()), Kind::Invalid),
        (
            Fault::Redirect("http://127.0.0.1:1/".to_owned()),
            Kind::Invalid,
        ),
        (Fault::Close, Kind::Unavailable),
    ] {
        agent.fail(fault.clone());
        let error = failure(&provider).await;
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
    }
    let other = Agent::with_token(agent.port(), "another t0ken");
    let refused = failure(&other).await;
    assert_eq!(refused.kind(), Kind::AccessDenied);
    assert!(refused.to_string().contains("AWS_TOKEN"), "{refused}");
    let broken = Agent::with_token(agent.port(), "t0ken\n");
    assert_eq!(failure(&broken).await.kind(), Kind::Invalid);
}

#[tokio::test]
async fn an_answer_for_another_secret_is_an_error_and_the_requested_secret_stays_usable() {
    let (agent, provider) = agent("v1").await;
    let secret = secret(&provider).await;
    let of_another = json!({
        "ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stock/db-AbCdEf",
        "Name": "stock/db",
        "VersionId": "v2",
        "SecretString": document("v2"),
    });
    agent.fail(Fault::Answer(200, of_another.to_string()));
    let error = failure(&provider).await;
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("another secret"), "{error}");
    agent.fail(Fault::Answer(200, of_another.to_string()));
    assert!(secret.refresh().await.is_err());
    assert_eq!(secret.current().unwrap().version(), "v1");
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_unavailable_and_asked_again() {
    let (agent, provider) = agent("v1").await;
    agent.fail(Fault::Hang);
    let builder = RotatingSecret::builder("orders/db")
        .fetch_timeout(Duration::from_millis(200))
        .start_timeout(Duration::from_secs(600));
    let secret = builder.build(provider).await.unwrap();
    assert_eq!(secret.current().unwrap().version(), "v1");
    // a port without a listener
    let nobody = Agent::with_token(1, TOKEN);
    let error = failure(&nobody).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("port 1"), "{error}");
}

#[tokio::test]
async fn a_credential_is_not_used_past_its_bound_if_the_agent_refuses() {
    let (agent, provider) = agent("v1").await;
    let builder = RotatingSecret::builder("orders/db")
        .ttl(Duration::from_millis(100))
        .overlap_window(Duration::from_secs(1));
    let secret = builder.build(provider).await.unwrap();
    agent.restart("another t0ken");
    let error = loop {
        match secret.current() {
            Err(error) => break error,
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    assert!(
        error.to_string().contains("expects another token"),
        "{error}"
    );
}

#[tokio::test]
async fn the_token_file_is_read_again_after_the_agent_made_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("awssmatoken");
    let (agent, _) = agent("v1").await;
    let provider = Agent::with_token_file(agent.port(), &path);
    let early = RotatingSecret::builder("orders/db").start_timeout(Duration::ZERO);
    match early.build(provider.clone()).await.unwrap_err() {
        BuildError::First(Error::Provider { reason, .. }) => {
            assert_eq!(
                reason.kind(),
                Kind::Unavailable,
                "an agent that starts makes it"
            );
        }
        other => panic!("{other}"),
    }
    fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let secret = secret(&provider).await;
    agent.restart("a-new-t0ken");
    assert!(secret.refresh().await.is_err());
    fs::write(&path, "a-new-t0ken\n").unwrap();
    let version = provider.fetch_uncached("orders/db", Stage::Current).await;
    assert_eq!(version.unwrap().id, "v1");
}

#[tokio::test]
async fn an_invalid_token_file_is_refused_and_blocks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    fs::write(&large, "t0ken".repeat(4096)).unwrap();
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRUSR).unwrap();
    for (path, part) in [
        (large.as_path(), "larger than 16 KiB"),
        (&pipe, "no regular file"),
        ("/dev/zero".as_ref(), "no regular file"),
        (folder.path(), "is a directory"),
    ] {
        let error = failure(&Agent::with_token_file(1, path)).await;
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
#[ignore = "run by the tests below, with an environment"]
async fn from_the_environment() {
    let provider = Agent::from_env();
    tell(match provider {
        Ok(provider) => provider.fetch("orders/db", Stage::Current).await,
        Err(error) => Err(error),
    });
}

#[tokio::test]
async fn port_and_token_come_from_the_environment_in_awss_order_and_without_a_proxy() {
    let (agent, _) = agent("v1").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, TOKEN).unwrap();
    let in_file = format!("file://{}", path.display());
    let port = agent.port().to_string();
    let port = ("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", port.as_str());
    let ended = ("HTTP_PROXY", "http://127.0.0.1:1");
    let lower = ("http_proxy", "http://127.0.0.1:1");
    for variables in [
        &[("AWS_TOKEN", TOKEN), ("AWS_SESSION_TOKEN", "another")][..],
        &[("AWS_TOKEN", &in_file)],
        &[("AWS_SESSION_TOKEN", TOKEN)],
        &[("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)],
    ] {
        let variables = [variables, &[port, ended, lower]].concat();
        let told = in_environment("from_the_environment", &variables).await;
        assert_eq!(told, format!("v1 {}", document("v1")));
    }
    let none = in_environment("from_the_environment", &[port]).await;
    assert!(none.contains("/var/run/awssmatoken"), "{none}");
    let bad = ("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "no port");
    let told = in_environment("from_the_environment", &[bad]).await;
    assert!(told.contains("is no port"), "{told}");
}
