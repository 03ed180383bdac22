//! The routes of AWS's agent, against answers recorded from AWS Workload Credentials Provider 3.0.0: statuses, texts, order of the
//! checks, order of the fields.

#![cfg(test)]

mod common;

use common::{TOKEN, exchange, token, world};
use local::secrets_manager::{Behavior, When};
use serde_json::json;

const GET: &str = "/secretsmanager/get?secretId=orders/db";

/// AWS's agent says `Not found` here.
const PARAMETERS: &str = "parameters of Systems Manager are not served here: read them with GetParameter of an AWS SDK; \
     a secret is at /secretsmanager/get?secretId=NAME";

#[tokio::test]
async fn a_version_has_awss_fields_in_awss_order_and_its_date_as_text() {
    let world = world("").await;
    let arn = world.create("orders/db", r#"{"password":"é\"1"}"#).await;
    let read = world.agent.read("orders/db").await;
    let value = read.json();
    let (version, date) = (
        value["VersionId"].as_str().unwrap(),
        value["CreatedDate"].as_str().unwrap(),
    );
    let expected = format!(
        r#"{{"ARN":"{arn}","Name":"orders/db","VersionId":"{version}","SecretString":"{{\"password\":\"é\\\"1\"}}","VersionStages":["AWSCURRENT"],"CreatedDate":"{date}"}}"#
    );
    assert_eq!(read.text(), (200, &*expected));
    let (seconds, fraction) = date.split_once('.').unwrap_or((date, "0"));
    assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000 && fraction.len() <= 3);
    assert_eq!(read.header("content-type"), None, "AWS's agent names none");
    // our own headers
    assert_eq!(read.header("cache-control"), Some("no-store"));
    assert_eq!(read.header("x-rotating-secret-version"), Some(version));
    assert_eq!(read.header("x-rotating-secret-age"), Some("0"));
    assert_eq!(read.header("x-rotating-secret-stale"), None);
}

#[tokio::test]
async fn binary_values_are_base64_with_padding_and_have_no_secretstring() {
    let world = world("").await;
    let blob = json!({ "Name": "blob", "SecretBinary": "AJ+SAA==" });
    world.service.call("CreateSecret", blob).await.unwrap();
    let value = world.agent.read("blob").await.json();
    assert_eq!(value["SecretBinary"], "AJ+SAA==");
    assert!(value.get("SecretString").is_none());
}

#[tokio::test]
async fn every_refusal_has_awss_status_and_text() {
    let world = world("").await;
    let (token, agent) = (token(), &world.agent);
    let forwarded = format!("{token}X-Forwarded-For: \r\n");
    for (method, target, headers, expected) in [
        ("GET", "/ping", "", (200, "healthy")),
        (
            "GET",
            "/ping",
            "X-Forwarded-For: 10.0.0.1\r\n",
            (200, "healthy"),
        ),
        ("POST", "/ping", "", (405, "Not allowed")),
        ("GET", GET, &*forwarded, (400, "Forwarded")),
        ("GET", GET, "", (403, "Bad Token")),
        (
            "GET",
            GET,
            "X-Aws-Parameters-Secrets-Token: wrong-token\r\n",
            (403, "Bad Token"),
        ),
        ("GET", "/nothing", "", (403, "Bad Token")),
        ("POST", "/", "", (403, "Bad Token")),
        ("POST", GET, &token, (405, "Not allowed")),
        ("DELETE", "/nothing", &token, (405, "Not allowed")),
        ("GET", "/nothing", &token, (404, "Not found")),
        ("GET", "/", &token, (404, "Not found")),
        (
            "GET",
            "/secretsmanager/get/?secretId=a",
            &token,
            (404, "Not found"),
        ),
        (
            "GET",
            "/systemsmanager/parameters/get?name=a",
            &token,
            (404, PARAMETERS),
        ),
        (
            "GET",
            "/secretsmanager/get",
            &token,
            (400, "missing parameter secretId"),
        ),
        (
            "GET",
            "/secretsmanager/get?secretId=",
            &token,
            (400, "missing parameter secretId"),
        ),
        (
            "GET",
            "/secretsmanager/get?secretid=a",
            &token,
            (400, "unknown parameter: secretid"),
        ),
        (
            "GET",
            "/secretsmanager/get?secretId=a&refreshNow=yes",
            &token,
            (400, "invalid refreshNow value"),
        ),
        ("GET", "/v1/", &token, (400, "missing secret ID")),
        (
            "GET",
            "/v1/a?secretId=b",
            &token,
            (400, "unknown parameter: secretId"),
        ),
    ] {
        let reply = agent.request(method, target, headers).await;
        assert_eq!(reply.text(), expected, "{method} {target} {headers}");
    }
    let head = agent.request("HEAD", "/ping", "").await;
    assert_eq!(head.status, 405);
    assert_eq!(world.asked(), 0, "nobody was asked for any of these");
}

#[tokio::test]
async fn the_checks_have_the_order_of_awss_agent() {
    let world = world("").await;
    let forwarded = "X-Forwarded-For: a\r\n";
    for (method, headers, expected) in [
        ("POST", forwarded.to_owned(), (400, "Forwarded")),
        ("POST", String::new(), (403, "Bad Token")),
        ("POST", token(), (405, "Not allowed")),
        ("GET", token(), (404, "Not found")),
    ] {
        let reply = world.agent.request(method, "/nothing", &headers).await;
        assert_eq!(reply.text(), expected);
    }
}

#[tokio::test]
async fn either_token_header_is_accepted_and_the_first_value_of_a_repeated_one_counts() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    for (headers, status) in [
        (format!("X-Vault-Token: {TOKEN}\r\n"), 200),
        (
            format!("x-vault-token: {TOKEN}\r\nX-Aws-Parameters-Secrets-Token: wrong\r\n"),
            200,
        ),
        (
            format!("X-Vault-Token: {TOKEN}\r\nX-Vault-Token: wrong\r\n"),
            200,
        ),
        (
            format!("X-Vault-Token: wrong\r\nX-Vault-Token: {TOKEN}\r\n"),
            403,
        ),
        (format!("Authorization: {TOKEN}\r\n"), 403),
    ] {
        let reply = world.agent.request("GET", GET, &headers).await;
        assert_eq!(reply.status, status, "{headers}");
    }
}

#[tokio::test]
async fn an_id_in_the_path_is_not_decoded_and_one_in_the_query_is() {
    let world = world("").await;
    for name in ["a/b", "a+b", "a/b/", "a..b"] {
        world.create(name, name).await;
    }
    for (target, name) in [
        ("/v1/a/b", "a/b"),
        ("/v1/a+b", "a+b"),
        ("/v1/a/b/", "a/b/"),
        ("/v1/a..b", "a..b"),
        ("/secretsmanager/get?secretId=a/b", "a/b"),
        ("/secretsmanager/get?secretId=a%2Fb", "a/b"),
        ("/secretsmanager/get?secretId=a%2Bb", "a+b"),
        ("/secretsmanager/get?secretId=x&secretId=a/b", "a/b"),
    ] {
        let read = world.agent.get(target).await;
        assert_eq!(read.value(), name, "{target}");
    }
    // the agent does not decode these; the service refuses them
    for target in [
        "/v1/a%2Fb",
        "/secretsmanager/get?secretId=a+b",
        "/v1/%C3%A9",
    ] {
        let refused = world.agent.get(target).await;
        assert_eq!(refused.status, 400, "{target}");
        assert!(refused.json()["__type"].is_string(), "{refused:?}");
    }
}

#[tokio::test]
async fn any_version_and_any_label_can_be_read_and_the_default_is_awscurrent() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let first = world.agent.read("orders/db").await.json()["VersionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let input = json!({ "SecretId": "orders/db", "SecretString": "two", "VersionStages": ["AWSPENDING", "team/blue"] });
    world.service.call("PutSecretValue", input).await.unwrap();
    for (query, value) in [
        ("", "one"),
        ("&versionStage=AWSCURRENT", "one"),
        ("&versionStage=AWSPENDING", "two"),
        ("&versionStage=team/blue", "two"),
        (&*format!("&versionId={first}"), "one"),
        (
            &*format!("&versionId={first}&versionStage=AWSCURRENT"),
            "one",
        ),
    ] {
        let read = world.agent.read(&format!("orders/db{query}")).await;
        assert_eq!(read.value(), value, "{query}");
    }
    let mismatch = format!("orders/db&versionId={first}&versionStage=AWSPENDING");
    let refused = world.agent.read(&mismatch).await;
    assert_eq!(refused.status, 400, "{refused:?}");
}

#[tokio::test]
async fn an_error_of_secrets_manager_keeps_its_code_text_and_status() {
    let world = world("").await;
    let absent = world.agent.read("absent").await;
    let text = r#"{"__type":"ResourceNotFoundException","message":"Secrets Manager can't find the specified secret."}"#;
    assert_eq!(absent.text(), (400, text));
    world.create("orders/db", "one").await;
    world.fail(400, "AccessDeniedException", 1);
    let denied = world.agent.read("orders/db").await;
    let text = r#"{"__type":"AccessDeniedException","message":"as it was told"}"#;
    assert_eq!(denied.text(), (400, text));
}

#[tokio::test]
async fn a_short_outage_at_the_first_read_is_waited_for_and_a_longer_one_is_an_error() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    world.inject(Behavior::Drop(When::BeforeEffect), 2);
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    world.inject(Behavior::Drop(When::BeforeEffect), 1000);
    let failed = world.agent.read("other").await;
    let text = r#"{"__type":"ConnectionError","message":"Read Error"}"#;
    assert_eq!(failed.text(), (502, text));
    world.service.clear_faults(None);
    world.fail(500, "InternalServiceError", 1000);
    let failed = world.agent.read("third").await;
    let text = r#"{"__type":"InternalServiceError","message":"as it was told"}"#;
    assert_eq!(failed.text(), (500, text));
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let mut stream = world.agent.connect().await;
    let request = format!("GET {GET} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", token());
    for _ in 0..100 {
        let reply = exchange(&mut stream, &request).await.unwrap();
        assert_eq!(reply.status, 200);
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn the_path_prefix_and_the_token_headers_come_from_the_configuration_file() {
    let world = world("path_prefix = \"/secrets/\"\n[capabilities.secrets_manager.security]\nssrf_headers = [\"X-Own\"]").await;
    world.create("a", "one").await;
    let own = format!("X-Own: {TOKEN}\r\n");
    assert_eq!(
        world.agent.request("GET", "/secrets/a", &own).await.value(),
        "one"
    );
    assert_eq!(world.agent.request("GET", "/v1/a", &own).await.status, 404);
    assert_eq!(
        world
            .agent
            .request("GET", "/secrets/a", &token())
            .await
            .status,
        403
    );
}
