//! Metrics on a port of their own: what an operator reads there, and what an attacker does not.

#![cfg(test)]

mod common;

use std::fs;

use common::{
    Agent, Reply, create, exchange,
    folder::{Place, SHORT, document, script},
    put, secrets_manager, token, until,
};
use local::secrets_manager::{Behavior, Fault, When};
use tokio::net::TcpStream;

const PORT: &str = "metrics_port = 0";

/// Where the metrics are, as the log says.
async fn port(agent: &Agent) -> u16 {
    until(async || {
        let log = agent.log();
        let (_, rest) = log.split_once("http://localhost:")?;
        rest.split_once("/metrics")?.0.parse().ok()
    })
    .await
}

async fn ask(port: u16, request: &str) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    exchange(&mut stream, request).await.unwrap()
}

async fn metrics(agent: &Agent) -> String {
    let read = ask(
        port(agent).await,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(
        read.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    read.body
}

/// The value of a series. Prometheus does not fix the order of labels.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let is_it = |series: &&str| {
        let named = series.split(['{', ' ']).next() == Some(name);
        named
            && labels.iter().all(|label| series.contains(label))
            && series.matches("=\"").count() == labels.len()
    };
    let found = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find(is_it)?;
    found.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn reads_calls_versions_connections_and_refusals_are_counted_from_zero() {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "orders/db", "one").await;
    let agent = Agent::start(&endpoint, SHORT, PORT);
    let before = metrics(&agent).await;
    let reads = "rotating_secret_agent_reads_total";
    for protocol in ["protocol=\"wire\"", "protocol=\"sdk\""] {
        assert_eq!(
            value(&before, reads, &[protocol, "outcome=\"fresh\""]),
            Some(0.0),
            "{before}"
        );
    }
    assert_eq!(
        value(
            &before,
            "rotating_secret_agent_refused_requests_total",
            &["reason=\"token\""]
        ),
        Some(0.0)
    );
    assert_eq!(
        value(&before, "rotating_secret_fetches_total", &[]),
        Some(0.0),
        "{before}"
    );
    let mut kept = agent.connect().await;
    let request = format!(
        "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        token()
    );
    assert_eq!(exchange(&mut kept, &request).await.unwrap().value(), "one");
    agent.read("absent").await;
    let input = serde_json::json!({ "SecretId": "orders/db" });
    agent.call("GetSecretValue", input).await;
    agent.request("GET", "/v1/orders/db", "").await;
    agent
        .request("GET", "/v1/orders/db", "Origin: null\r\n")
        .await;
    let text = metrics(&agent).await;
    for (name, labels, least) in [
        (reads, &["protocol=\"wire\"", "outcome=\"fresh\""][..], 1.0),
        (reads, &["protocol=\"wire\"", "outcome=\"not found\""], 1.0),
        (reads, &["protocol=\"sdk\"", "outcome=\"fresh\""], 1.0),
        (
            "rotating_secret_agent_refused_requests_total",
            &["reason=\"token\""],
            1.0,
        ),
        (
            "rotating_secret_agent_refused_requests_total",
            &["reason=\"browser\""],
            1.0,
        ),
        ("rotating_secret_fetches_total", &[], 2.0),
        (
            "rotating_secret_failures_total",
            &["kind=\"not found\""],
            1.0,
        ),
        ("rotating_secret_agent_cached_versions", &[], 1.0),
        (
            "rotating_secret_agent_connections",
            &["state=\"served\""],
            1.0,
        ),
    ] {
        let found = value(&text, name, labels);
        assert!(
            found.is_some_and(|found| found >= least),
            "{name} {labels:?}: {found:?}\n{text}"
        );
    }
    // renewals are calls, and another version is counted
    put(&service, "orders/db", "two").await;
    until(async || {
        let text = metrics(&agent).await;
        value(&text, "rotating_secret_version_changes_total", &[]).filter(|changes| *changes >= 1.0)
    })
    .await;
    // an outage: the version ages, and answers are stale
    service
        .inject(Fault::on("GetSecretValue", Behavior::Drop(When::BeforeEffect)).times(usize::MAX));
    until(async || {
        exchange(&mut kept, &request).await.unwrap();
        let text = metrics(&agent).await;
        let oldest = value(
            &text,
            "rotating_secret_agent_oldest_version_age_seconds",
            &[],
        )?;
        let stale = value(&text, reads, &["protocol=\"wire\"", "outcome=\"stale\""])?;
        (oldest > 1.0 && stale >= 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_secret_no_token_and_no_name_that_a_caller_chose_is_in_the_text() {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "orders/db", "of-the-secret").await;
    let agent = Agent::start(&endpoint, "", PORT);
    for id in [
        "orders/db",
        "a-guessed-name",
        "orders/db&versionStage=A-GUESSED-STAGE",
    ] {
        agent.read(id).await;
    }
    agent.request("PROPFIND", "/a-guessed-path", &token()).await;
    agent
        .request("GET", "/v1/orders/db", "X-Vault-Token: a-guessed-token\r\n")
        .await;
    let text = metrics(&agent).await;
    for part in [
        "of-the-secret",
        common::TOKEN,
        "orders",
        "guessed",
        "GUESSED",
        "PROPFIND",
    ] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    // as many series as before the guesses: a caller cannot make more
    let series = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .count();
    for number in 0..50 {
        agent.read(&format!("guess-{number}")).await;
    }
    let after = metrics(&agent).await;
    let now = after
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .count();
    assert_eq!(now, series, "{after}");
}

#[tokio::test]
async fn files_are_counted_and_their_secret_is_named_only_if_the_settings_say_so() {
    for names in [false, true] {
        let place = Place::new().await;
        create(&place.service, "orders/db", &document("orders", "one")).await;
        let fails = place.beside("fails");
        script(&fails, "exit 3");
        let lines = format!("after = {{ command = [\"{}\"] }}", fails.display());
        let own = format!(
            "{PORT}\nmetrics_name_secrets = {names}\n{}",
            place.table(&lines)
        );
        let agent = Agent::start(&place.endpoint, SHORT, &own);
        place.holds("pg_service.conf", "one").await;
        let text = until(async || {
            let text = metrics(&agent).await;
            let failed = value(
                &text,
                "rotating_secret_agent_file_failures_total",
                &["step=\"after\""],
            )?;
            (failed >= 1.0).then_some(text)
        })
        .await;
        assert_eq!(
            value(&text, "rotating_secret_agent_file_writes_total", &[]),
            Some(1.0),
            "{text}"
        );
        assert_eq!(
            value(&text, "rotating_secret_agent_files_missing", &[]),
            Some(0.0),
            "{text}"
        );
        assert_eq!(text.contains("orders/db"), names, "{text}");
        // a value that the format cannot hold
        put(
            &place.service,
            "orders/db",
            &document("orders", "two\nlines"),
        )
        .await;
        until(async || {
            let text = metrics(&agent).await;
            value(
                &text,
                "rotating_secret_agent_file_failures_total",
                &["step=\"format\""],
            )
            .filter(|failed| *failed >= 1.0)
        })
        .await;
    }
}

#[tokio::test]
async fn names_and_help_are_as_prometheus_asks() {
    let (_service, endpoint) = secrets_manager().await;
    let agent = Agent::start(&endpoint, "", PORT);
    agent.read("absent").await;
    let text = metrics(&agent).await;
    for kind in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = kind.split_once(' ').unwrap();
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} {kind}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}: {text}");
    }
}

/// The port needs no token. A page in a browser still reads nothing, and a crowd takes no place at the agent's own port.
#[tokio::test]
async fn a_browser_is_refused_there_and_a_thousand_connections_disturb_nothing() {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "orders/db", "one").await;
    let agent = Agent::start(&endpoint, "max_conn = 5", PORT);
    let port = port(&agent).await;
    for (request, expected) in [
        (
            "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            (400, "Host"),
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: localhost.evil.example:9464\r\n\r\n",
            (400, "Host"),
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n",
            (403, "Origin"),
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
            (403, "Origin"),
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
            (400, "Forwarded"),
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            (405, "Not allowed"),
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            (404, "Not found"),
        ),
    ] {
        assert_eq!(ask(port, request).await.text(), expected, "{request}");
    }
    // nothing else is there, not even with the token; and no metrics at the agent's port
    let request = format!(
        "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        token()
    );
    assert_eq!(ask(port, &request).await.text(), (404, "Not found"));
    assert_eq!(agent.get("/metrics").await.text(), (404, "Not found"));
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        crowd.extend(TcpStream::connect(("127.0.0.1", port)).await);
    }
    for _ in 0..20 {
        assert_eq!(agent.read("orders/db").await.value(), "one");
    }
    let text = until(async || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        exchange(&mut stream, request)
            .await
            .filter(|read| read.status == 200)
    });
    let guests = value(
        &text.await.body,
        "rotating_secret_agent_connections",
        &["state=\"guest\""],
    );
    assert_eq!(guests, Some(0.0));
}

#[tokio::test]
async fn without_the_setting_there_is_no_port_and_a_port_that_is_in_use_ends_the_start() {
    let (_service, endpoint) = secrets_manager().await;
    let mut agent = Agent::start(&endpoint, "", "");
    assert!(!agent.whole_log().contains("/metrics"));
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let (config, settings) = (folder.path().join("c.toml"), folder.path().join("s.toml"));
    fs::write(&config, "http_port = 0\n").unwrap();
    for (port, expected) in [(port, "or set metrics_port"), (80, "metrics_port = 80")] {
        fs::write(&settings, format!("metrics_port = {port}\n")).unwrap();
        let mut command = common::command();
        command
            .env("AWS_TOKEN", common::TOKEN)
            .arg("--config")
            .arg(&config)
            .arg("--settings")
            .arg(&settings);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn reads_for_changes_and_after_a_rejected_login_are_counted_apart() {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "orders/db", "one").await;
    let agent = Agent::start(&endpoint, SHORT, PORT);
    let reads = "rotating_secret_agent_reads_total";
    let (changes, rejected) = ("protocol=\"changes\"", "protocol=\"rejected\"");
    let before = metrics(&agent).await;
    for protocol in [changes, rejected] {
        let labels = [protocol, "outcome=\"fresh\""];
        assert_eq!(value(&before, reads, &labels), Some(0.0), "{before}");
    }
    let first = agent
        .get("/rotating-secret/changes?secretId=orders/db")
        .await;
    let version = first.json()["VersionId"].as_str().unwrap().to_owned();
    agent.get("/rotating-secret/changes?secretId=absent").await;
    put(&service, "orders/db", "two").await;
    for id in ["orders/db", "absent"] {
        let target = format!("/rotating-secret/rejected?secretId={id}&versionId={version}");
        agent.request("POST", &target, &token()).await;
    }
    let text = metrics(&agent).await;
    for protocol in [changes, rejected] {
        for outcome in ["outcome=\"fresh\"", "outcome=\"not found\""] {
            let found = value(&text, reads, &[protocol, outcome]);
            assert_eq!(found, Some(1.0), "{protocol} {outcome}\n{text}");
        }
    }
    assert_eq!(
        value(&text, reads, &["protocol=\"wire\"", "outcome=\"fresh\""]),
        Some(0.0)
    );
}
