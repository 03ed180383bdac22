//! The JSON protocol of AWS's SDKs, request by request. `agent_sdk_clients` tests unchanged SDKs.

#![cfg(test)]

mod common;

use common::{TOKEN, world};
use local::secrets_manager::Behavior;
use serde_json::json;

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
        // this header carries the token only on the other routes
        ("/", format!("X-Vault-Token: {TOKEN}\r\n")),
        ("/sdk/", String::new()),
        ("/sdk/wrong-token", String::new()),
        // a header does not replace the wrong token in a path
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
