//! Attackers: another user of this machine, a page in a browser, a proxy. They may not read, and may not stop the agent.

#![cfg(test)]

mod common;

use std::process::Stdio;

use common::{Agent, TOKEN, command, exchange, reply, token, until, world};
use serde_json::json;
use tokio::io::AsyncWriteExt;

const GET: &str = "/secretsmanager/get?secretId=orders/db";

#[tokio::test]
async fn the_agent_does_not_start_without_a_long_enough_token_and_says_what_to_set() {
    for (set, expected) in [
        (&[][..], "AWS_TOKEN"),
        (&[("AWS_TOKEN", "")], "0 characters"),
        (
            &[("AWS_TOKEN", ""), ("AWS_SESSION_TOKEN", TOKEN)],
            "0 characters",
        ),
        (&[("AWS_TOKEN", "short")], "openssl rand"),
        (&[("AWS_TOKEN", "file:///absent/token")], "/absent/token"),
    ] {
        let mut command = command();
        command.envs(set.iter().copied()).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn a_request_without_the_whole_token_in_a_header_is_refused() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let part = &TOKEN[..TOKEN.len() - 1];
    for headers in [
        String::new(),
        "X-Aws-Parameters-Secrets-Token: \r\n".to_owned(),
        format!("X-Aws-Parameters-Secrets-Token: {part}\r\n"),
        format!("X-Aws-Parameters-Secrets-Token: {TOKEN}x\r\n"),
        format!(
            "X-Aws-Parameters-Secrets-Token: {}\r\n",
            TOKEN.to_uppercase()
        ),
        format!("Cookie: token={TOKEN}\r\n"),
    ] {
        let refused = world.agent.request("GET", GET, &headers).await;
        assert_eq!(refused.text(), (403, "Bad Token"), "{headers}");
    }
    assert_eq!(world.asked(), 0);
}

/// A page can send requests to localhost. Through a name that resolves here it can even read the answers. It cannot know the token;
/// even with the token it gets nothing.
#[tokio::test]
async fn a_request_from_a_browser_is_refused_even_with_the_token() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    for (host, more, expected) in [
        ("evil.example:2773", "", (400, "Host")),
        ("localhost.evil.example", "", (400, "Host")),
        ("", "", (400, "Host")),
        ("localhost\r\nHost: evil.example", "", (400, "Host")),
        (
            "localhost:2773",
            "Origin: https://evil.example\r\n",
            (403, "Origin"),
        ),
        ("localhost:2773", "Origin: null\r\n", (403, "Origin")),
        (
            "localhost:2773",
            "Sec-Fetch-Site: cross-site\r\n",
            (403, "Origin"),
        ),
    ] {
        let request = format!(
            "GET {GET} HTTP/1.1\r\nHost: {host}\r\n{more}{}\r\n",
            token()
        );
        let refused = world.agent.send(&request).await;
        assert_eq!(refused.text(), expected, "{host} {more}");
        let headers = format!("X-Amz-Security-Token: {TOKEN}\r\n{more}");
        let body = json!({ "SecretId": "orders/db" }).to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        let refused = world.agent.send(&request).await;
        assert_eq!(refused.json()["__type"], "AccessDeniedException");
    }
    let named = format!(
        "GET http://evil.example{GET} HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        token()
    );
    assert_eq!(world.agent.send(&named).await.text(), (400, "Host"));
    let asked = "Origin: https://evil.example\r\nAccess-Control-Request-Headers: x-vault-token\r\n";
    let preflight = world.agent.request("OPTIONS", GET, asked).await;
    assert_eq!(preflight.status, 403);
    assert_eq!(preflight.header("access-control-allow-origin"), None);
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn a_request_for_a_host_in_the_settings_is_served() {
    let (_, endpoint) = common::secrets_manager().await;
    let agent = Agent::start(&endpoint, "", "hosts = [\"Agent.Internal\"]");
    let request = format!(
        "GET /nothing HTTP/1.1\r\nHost: agent.internal:2773\r\n{}\r\n",
        token()
    );
    assert_eq!(agent.send(&request).await.text(), (404, "Not found"));
}

#[tokio::test]
async fn dot_segments_are_refused_in_every_encoding_and_never_read_another_secret() {
    let world = world("").await;
    for name in ["b", "retsmanager/get"] {
        world.create(name, "one").await;
    }
    for target in [
        "/v1/a/../b",
        "/v1/./b",
        "/v1/..",
        "/v1/a/%2e%2e/b",
        "/v1/a/%2E./b",
        "/v1/../secretsmanager/get",
        "/secretsmanager/../v1/b",
    ] {
        let refused = world.agent.get(target).await;
        assert_eq!(refused.status, 400, "{target}");
        assert!(refused.body.contains("dot segments"), "{refused:?}");
    }
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn an_id_with_control_characters_or_of_great_length_is_refused_and_not_logged() {
    let mut world = world("").await;
    for id in [
        "a%0Ainjected%20line",
        "a%00",
        "a%1B%5B2J",
        "%C2%85",
        &"a".repeat(3000),
    ] {
        let refused = world.agent.read(id).await;
        assert_eq!(refused.status, 400, "{id}");
        let label = world.agent.read(&format!("a&versionStage={id}")).await;
        assert_eq!(label.status, 400, "{id}");
        let decoded: String = url::form_urlencoded::parse(id.as_bytes())
            .map(|(name, _)| name.into_owned())
            .collect();
        let refused = world
            .agent
            .call("GetSecretValue", json!({ "SecretId": decoded }))
            .await;
        assert_eq!(
            refused.json()["__type"],
            "InvalidParameterException",
            "{id}"
        );
    }
    assert_eq!(world.asked(), 0);
    // the service decides about letters of any script
    for id in ["%C3%BCber", "%F0%9F%94%91", "a%252Fb"] {
        assert!(world.agent.read(id).await.json()["__type"].is_string());
    }
    let log = world.agent.whole_log();
    assert!(!log.contains("\ninjected line"), "{log}");
}

/// An attacker who may create secrets chooses a name that ends like another secret's ARN. The service reads it as that ARN.
#[tokio::test]
async fn a_secret_that_is_named_like_the_end_of_anothers_arn_is_never_served_as_the_other() {
    for hostile_first in [true, false] {
        let world = world("").await;
        let arn = world.create("orders/db", "one").await;
        let (_, name) = arn.rsplit_once(':').unwrap();
        let hostile = world.create(name, "of-the-attacker").await;
        let mut reads = vec![
            (name, "of-the-attacker"),
            (&*hostile, "of-the-attacker"),
            ("orders/db", "one"),
            (&*arn, "one"),
            (&arn[..arn.len() - 7], "one"),
        ];
        if !hostile_first {
            reads.reverse();
        }
        for (id, text) in reads.iter().chain(&reads) {
            assert_eq!(world.agent.read(id).await.value(), *text, "{id}");
        }
    }
}

#[tokio::test]
async fn an_arn_of_another_region_account_or_shape_is_never_this_secret() {
    let world = world("").await;
    let arn = world.create("orders/db", "one").await;
    assert_eq!(world.agent.read(&arn).await.value(), "one");
    for id in [
        arn.replace("us-east-1", "eu-west-1"),
        arn.replace("us-east-1", "evil.example"),
        arn.replace("us-east-1", "evil.example%2F"),
        arn.replace("us-east-1", "%40evil.example"),
        arn.replace("us-east-1", ""),
        arn.replace("123456789012", "999999999999"),
        arn.replace("arn:aws:", "arn:aws-cn:"),
        arn.replace("orders/db", "orders/d"),
        arn[..arn.len() - 3].to_owned(),
        format!("{arn}-GhIjKl"),
        format!("{arn}:"),
        format!("{arn}%20"),
        arn.to_uppercase(),
    ] {
        let read = world.agent.read(&id).await;
        assert_ne!(read.status, 200, "{id} {read:?}");
        assert!(!read.body.contains("one"), "{id} {read:?}");
    }
    assert_eq!(world.agent.read(&arn).await.value(), "one");
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
}

#[tokio::test]
async fn a_huge_body_and_huge_headers_are_refused_and_the_agent_keeps_running() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let headers = format!("X-Amz-Security-Token: {TOKEN}\r\n");
    let body = format!(r#"{{"SecretId":"{}"}}"#, "a".repeat(100_000));
    let refused = world
        .agent
        .call_with("/", &headers, "GetSecretValue", &body)
        .await;
    assert_eq!(refused.status, 413, "{refused:?}");
    // a length is announced, but no body follows
    let mut stream = world.agent.connect().await;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\nContent-Length: 99999999999\r\n{headers}\r\n"
    );
    let refused = exchange(&mut stream, &request).await.unwrap();
    assert_eq!(refused.status, 413);
    for header in [
        format!("X-Long: {}\r\n", "a".repeat(200_000)),
        (0..500)
            .map(|number| format!("X-{number}: a\r\n"))
            .collect(),
    ] {
        let mut stream = world.agent.connect().await;
        let request = format!("GET {GET} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
        let refused = exchange(&mut stream, &request).await;
        assert!(refused.is_none_or(|refused| refused.status == 431));
    }
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
}

#[tokio::test]
async fn a_connection_over_the_limit_gets_one_error_and_ping_still_answers() {
    let world = world("max_conn = 3").await;
    world.create("orders/db", "one").await;
    let mut held = Vec::new();
    let request = format!("GET {GET} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", token());
    for _ in 0..3 {
        let mut stream = world.agent.connect().await;
        // after this exchange the connection is counted
        exchange(&mut stream, &request).await.unwrap();
        held.push(stream);
    }
    let refused = world.agent.read("orders/db").await;
    assert_eq!(refused.text(), (429, "Connection limit exceeded"));
    assert_eq!(refused.header("connection"), Some("close"));
    assert_eq!(
        world.agent.request("GET", "/ping", "").await.text(),
        (200, "healthy")
    );
    // the older connections are still served
    assert_eq!(exchange(&mut held[0], &request).await.unwrap().status, 200);
    held.pop();
    let read =
        until(async || Some(world.agent.read("orders/db").await).filter(|read| read.status == 200));
    assert_eq!(read.await.value(), "one");
}

#[tokio::test]
async fn a_thousand_silent_connections_do_not_disturb_a_served_one() {
    let world = world("max_conn = 20").await;
    world.create("orders/db", "one").await;
    let mut own = world.agent.connect().await;
    let request = format!("GET {GET} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", token());
    exchange(&mut own, &request).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.extend(tokio::net::TcpStream::connect(("127.0.0.1", world.agent.port)).await);
    }
    for _ in 0..100 {
        assert_eq!(exchange(&mut own, &request).await.unwrap().status, 200);
    }
    drop(idle);
    let read = until(async || {
        let mut stream = world.agent.connect().await;
        exchange(&mut stream, &request)
            .await
            .filter(|read| read.status == 200)
    });
    assert_eq!(read.await.value(), "one");
}

#[tokio::test]
async fn an_agent_with_its_own_endpoint_in_the_environment_asks_its_configured_upstream() {
    let (service, endpoint) = common::secrets_manager().await;
    let input = json!({ "Name": "orders/db", "SecretString": "one" });
    service.call("CreateSecret", input).await.unwrap();
    // nothing listens there
    let (_held, port) = closed_port();
    let itself = format!("http://127.0.0.1:{port}");
    let agent = Agent::start_with(&endpoint, "", "", |command| {
        command
            .env("AWS_TOKEN", TOKEN)
            .env("AWS_ENDPOINT_URL", &itself)
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &itself);
    });
    assert_eq!(agent.read("orders/db").await.value(), "one");
}

#[tokio::test]
async fn an_agent_that_is_configured_to_ask_itself_reports_it_and_stops_asking() {
    let (held, port) = closed_port();
    drop(held);
    let itself = format!("http://127.0.0.1:{port}/sdk/{TOKEN}");
    let agent = Agent::start(&itself, &format!("http_port = {port}"), "");
    let refused = agent.read("orders/db").await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("this agent asks itself"),
        "{refused:?}"
    );
}

fn closed_port() -> (std::net::TcpListener, u16) {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    (held, port)
}

#[tokio::test]
async fn two_requests_in_one_segment_are_both_answered_and_a_smuggled_one_is_refused() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let request = format!("GET {GET} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", token());
    let ping = "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = world.agent.connect().await;
    let first = exchange(&mut stream, &request).await.unwrap();
    assert_eq!(first.status, 200);
    // length and chunks in one request: two parsers may disagree where the body ends
    let smuggled = format!(
        "GET {GET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{ping}"
    );
    stream.write_all(smuggled.as_bytes()).await.unwrap();
    let refused = reply(&mut stream, false).await.unwrap();
    assert!(
        refused.status == 400 || refused.status == 403,
        "{refused:?}"
    );
}
