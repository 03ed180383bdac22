//! The function's log as CloudWatch Logs answers for it.

#![cfg(test)]

mod common;

use axum::Router;
use common::{post, script, serve, settings};
use local::{iam::Iam, lambda::Function, logs};
use serde_json::{Value, json};

const GROUP: &str = "/aws/lambda/example";

/// A function that writes these lines whenever it is invoked.
fn function(folder: &tempfile::TempDir, lines: &[&str]) -> Function {
    let lines = lines.iter().map(|line| format!("echo '{line}'\n"));
    let lines: String = lines.collect();
    Function::new(settings(script(folder, "function", &lines)))
}

async fn call(function: &Function, operation: &str, input: Value) -> Value {
    call_as(&Iam::default(), function, operation, input).await
}

/// A call with the access key `AKID`.
async fn call_as(iam: &Iam, function: &Function, operation: &str, input: Value) -> Value {
    let router = logs::beside(Router::new(), function.clone(), iam.clone());
    let headers = format!(
        "X-Amz-Target: Logs_20140328.{operation}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-central-1/logs/aws4_request\r\n"
    );
    let answer = post(serve(router).await, "/", &headers, &input.to_string()).await;
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn messages(answer: &Value) -> Vec<&str> {
    let events = answer["events"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    events
        .iter()
        .map(|event| event["message"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn lines_are_filtered_by_the_values_of_fields_and_returned_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"step":"one"}"#,
        "no JSON",
        r#"{"step":"two"}"#,
        r#"{"outcome":"failed"}"#,
    ];
    let function = function(&folder, &lines);
    function.invoke(json!({})).await;

    let all = call(
        &function,
        "FilterLogEvents",
        json!({ "logGroupName": GROUP }),
    )
    .await;
    assert_eq!(messages(&all), lines);

    let pattern = r#"{ $.step = "one" || $.outcome = "failed" }"#;
    let ask = json!({ "logGroupName": GROUP, "filterPattern": pattern, "limit": 1 });
    let first = call(&function, "FilterLogEvents", ask.clone()).await;
    assert_eq!(messages(&first), [lines[0]]);
    let mut ask_on = ask;
    ask_on["nextToken"] = first["nextToken"].clone();
    let second = call(&function, "FilterLogEvents", ask_on).await;
    assert_eq!(messages(&second), [lines[3]]);

    let later = first["events"][0]["timestamp"].as_i64().unwrap() + 1;
    let ask = json!({ "logGroupName": GROUP, "startTime": later });
    assert!(messages(&call(&function, "FilterLogEvents", ask).await).is_empty());
}

#[tokio::test]
async fn a_function_has_its_own_log_group_from_its_first_invocation_on() {
    let folder = tempfile::tempdir().unwrap();
    let function = function(&folder, &["a line"]);
    let absent = "ResourceNotFoundException";
    let ask = json!({ "logGroupName": GROUP });
    assert_eq!(
        call(&function, "FilterLogEvents", ask.clone()).await["__type"],
        absent
    );
    function.invoke(json!({})).await;
    assert_eq!(
        messages(&call(&function, "FilterLogEvents", ask).await),
        ["a line"]
    );
    let another = json!({ "logGroupName": "/aws/lambda/another" });
    assert_eq!(
        call(&function, "FilterLogEvents", another).await["__type"],
        absent
    );
}

#[tokio::test]
async fn an_unsupported_operation_or_parameter_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let function = function(&folder, &["a line"]);
    function.invoke(json!({})).await;
    let refused = call(&function, "StartQuery", json!({})).await;
    assert!(
        refused["message"].as_str().unwrap().contains("StartQuery"),
        "{refused}"
    );
    for (field, value) in [
        ("filterPattern", "ERROR"),
        ("filterPattern", r#"{ $.step = "a*" }"#),
        ("logStreamNamePrefix", "2026"),
        ("nextToken", "nowhere"),
    ] {
        let refused = call(
            &function,
            "FilterLogEvents",
            json!({ "logGroupName": GROUP, field: value }),
        )
        .await;
        assert_eq!(refused["__type"], "InvalidParameterException", "{refused}");
    }
}

#[tokio::test]
async fn iam_decides_who_may_read_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let function = function(&folder, &["one line"]);
    function.invoke(json!({})).await;
    let input = json!({ "logGroupName": GROUP });
    let policy = |group: &str| {
        json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "logs:FilterLogEvents",
            "Resource": format!("arn:aws:logs:eu-central-1:123456789012:log-group:{group}:*"),
        } })
    };
    let iam = Iam::default();
    for (group, code) in [
        (GROUP, None),
        ("/aws/lambda/other", Some("AccessDeniedException")),
    ] {
        iam.restrict("AKID", "operator", &[policy(group)]).unwrap();
        let answer = call_as(&iam, &function, "FilterLogEvents", input.clone()).await;
        assert_eq!(answer["__type"].as_str(), code, "{answer}");
        assert_eq!(answer["events"].is_array(), code.is_none(), "{answer}");
    }
}
