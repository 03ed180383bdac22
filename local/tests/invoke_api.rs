//! The Invoke operation, as it stands on the wire.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

use std::{path::PathBuf, time::Duration};

use local::lambda::{Function, FunctionSettings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Sends one request to a function that is a shell script, `false` for example: the wire is what is tested here.
async fn invoke(binary: &str, name: &str, headers: &str) -> String {
    let function = Function::new(FunctionSettings {
        binary: PathBuf::from(binary),
        name: "example".to_owned(),
        region: "eu-central-1".to_owned(),
        env: Vec::new(),
        timeout: Duration::from_secs(20),
        show_log: false,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, function.router()).into_future());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nHost: lambda\r\nConnection: close\r\n\
         {headers}Content-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.abort();
    answer
}

#[tokio::test]
async fn a_failure_is_an_answer_with_a_header_that_says_so() {
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
async fn the_log_comes_along_where_its_tail_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("function");
    std::fs::write(&script, "#!/bin/sh\necho one line\necho and another\n").unwrap();
    std::process::Command::new("chmod")
        .arg("+x")
        .arg(&script)
        .status()
        .unwrap();
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
