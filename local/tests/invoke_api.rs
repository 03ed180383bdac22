//! The Invoke operation, as it stands on the wire.

#![cfg(test)]

mod common;

use common::{post, script, serve, settings};
use local::lambda::Function;

/// Sends one request to a function that is a shell script, `false` for example: the wire is what is tested here.
async fn invoke(binary: &str, name: &str, headers: &str) -> String {
    let address = serve(Function::new(settings(binary)).router()).await;
    let path = format!("/2015-03-31/functions/{name}/invocations");
    post(address, &path, headers, "{}").await
}

#[tokio::test]
async fn a_failure_is_an_answer_with_an_error_header() {
    let answer = invoke("/bin/false", "example", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("x-amz-function-error: Unhandled"),
        "{answer}"
    );
    assert!(answer.contains("Runtime.ExitError"), "{answer}");
}

#[tokio::test]
async fn a_function_is_known_by_its_name_its_arn_and_its_arn_in_a_url() {
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:example";
    for name in ["example", arn, &arn.replace(':', "%3A"), "example:$LATEST"] {
        let answer = invoke("/bin/false", name, "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
    }
    let answer = invoke("/bin/false", "another", "").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("ResourceNotFoundException"), "{answer}");
}

#[tokio::test]
async fn an_event_and_a_dry_run_are_answered_without_a_result() {
    for (kind, status) in [("Event", "202"), ("DryRun", "204"), ("Other", "400")] {
        let header = format!("X-Amz-Invocation-Type: {kind}\r\n");
        let answer = invoke("/bin/false", "example", &header).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{kind}: {answer}"
        );
    }
}

#[tokio::test]
async fn the_answer_has_the_tail_of_the_log_if_it_is_requested() {
    let folder = tempfile::tempdir().unwrap();
    let script = script(&folder, "function", "echo one line\necho and another");
    let script = script.to_str().unwrap();
    let answer = invoke(script, "example", "X-Amz-Log-Type: Tail\r\n").await;
    // printf 'one line\nand another\n' | base64
    assert!(
        answer.contains("x-amz-log-result: b25lIGxpbmUKYW5kIGFub3RoZXIK"),
        "{answer}"
    );
    let answer = invoke(script, "example", "").await;
    assert!(!answer.contains("x-amz-log-result"), "{answer}");
}
