//! The Lambda host, with a real function in real processes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use local::{
    executable,
    lambda::{Function, FunctionSettings},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// `examples/function.rs`, which cargo builds for a whole test run, but not for this file alone.
fn binary() -> PathBuf {
    executable::of_tests("--example", "function").unwrap()
}

fn settings() -> FunctionSettings {
    FunctionSettings {
        binary: binary(),
        name: "example".to_owned(),
        region: "eu-central-1".to_owned(),
        env: vec![("OWN".to_owned(), "value".to_owned())],
        timeout: Duration::from_secs(20),
        show_log: false,
    }
}

async fn ask(function: &Function, what: &str) -> Value {
    function
        .invoke(json!({ "do": what }))
        .await
        .outcome
        .unwrap()
}

#[tokio::test]
async fn the_events_json_comes_to_the_function_and_its_answer_comes_back() {
    let function = Function::new(settings());
    let event = json!({ "any": ["thing", 1.5, null] });
    let invoked = function.invoke(event.clone()).await;
    assert_eq!(invoked.outcome.unwrap(), event);
}

#[tokio::test]
async fn what_the_function_writes_is_its_invocations_log_line_by_line() {
    let function = Function::new(settings());
    for number in 0..3 {
        let invoked = function.invoke(json!({ "number": number })).await;
        assert_eq!(invoked.log, [format!("got {{\"number\":{number}}}")]);
    }
}

#[tokio::test]
async fn a_warm_environment_is_used_again_and_a_busy_one_is_not_waited_for() {
    let function = Function::new(settings());
    let pid = ask(&function, "pid").await;
    assert_eq!(ask(&function, "pid").await, pid);
    assert_eq!(function.environments(), 1);
    let (one, other) = tokio::join!(ask(&function, "pid"), ask(&function, "pid"));
    assert_ne!(one, other);
    assert_eq!(function.environments(), 2);
}

#[tokio::test]
async fn a_functions_error_comes_back_with_its_type_and_the_environment_lives_on() {
    let function = Function::new(settings());
    let error = function
        .invoke(json!({ "do": "fail" }))
        .await
        .outcome
        .unwrap_err();
    assert_eq!(
        (error.error_type.as_str(), error.error_message.as_str()),
        ("Asked", "it was asked to fail")
    );
    ask(&function, "pid").await;
    assert_eq!(function.environments(), 1);
}

#[tokio::test]
async fn a_process_that_exits_is_an_error_and_the_next_invocation_gets_a_new_one() {
    let function = Function::new(settings());
    let invoked = function.invoke(json!({ "do": "exit" })).await;
    let error = invoked.outcome.unwrap_err();
    assert_eq!(error.error_type, "Runtime.ExitError");
    assert!(error.error_message.contains("exit status: 3"), "{error}");
    assert_eq!(
        invoked.log,
        ["got {\"do\":\"exit\"}"],
        "what it wrote before is kept"
    );
    ask(&function, "pid").await;
    assert_eq!(function.environments(), 2);
}

#[tokio::test]
async fn an_invocation_that_takes_too_long_is_killed_at_its_timeout() {
    let function = Function::new(FunctionSettings {
        timeout: Duration::from_millis(300),
        ..settings()
    });
    let error = function
        .invoke(json!({ "do": "hang" }))
        .await
        .outcome
        .unwrap_err();
    assert_eq!(error.error_type, "Sandbox.Timedout");
    assert!(
        error
            .error_message
            .contains("Task timed out after 0.30 seconds"),
        "{error}"
    );
}

#[tokio::test]
async fn a_process_that_is_killed_fails_its_invocation_at_once() {
    let function = Function::new(settings());
    ask(&function, "pid").await;
    let (invoked, ()) = tokio::join!(function.invoke(json!({ "do": "hang" })), function.kill());
    assert_eq!(invoked.outcome.unwrap_err().error_type, "Runtime.ExitError");
}

#[tokio::test]
async fn the_function_sees_lambdas_environment_and_nothing_of_ours() {
    let function = Function::new(settings());
    let environment = ask(&function, "environment").await;
    for (name, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "example"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("OWN", "value"),
    ] {
        assert_eq!(environment[name], value);
    }
    assert!(
        std::env::var_os("HOME").is_some(),
        "there is something of ours that could be seen"
    );
    assert!(environment.get("HOME").is_none() && environment.get("CARGO_MANIFEST_DIR").is_none());
}

#[tokio::test]
async fn the_function_is_told_its_arn_and_its_deadline() {
    let function = Function::new(settings());
    let context = ask(&function, "context").await;
    assert_eq!(
        context["arn"],
        "arn:aws:lambda:eu-central-1:123456789012:function:example"
    );
    assert!(
        (15..=20).contains(&context["left"].as_u64().unwrap()),
        "{context}"
    );
}

#[tokio::test]
async fn a_binary_that_cannot_be_started_is_told_by_its_path() {
    let function = Function::new(FunctionSettings {
        binary: PathBuf::from("/nowhere/function"),
        ..settings()
    });
    let error = function.invoke(json!({})).await.outcome.unwrap_err();
    assert_eq!(error.error_type, "Runtime.InvalidEntrypoint");
    assert!(error.error_message.contains("/nowhere/function"), "{error}");
}

/// Waits until the process is dead, though nobody waited for it: Linux calls it a zombie, other systems do not tell.
async fn is_dead(pid: i32) {
    let started = Instant::now();
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat"));
    while state().is_ok_and(|state| !state.contains(") Z ")) {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{pid} lives on"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_process_that_died_between_two_invocations_fails_neither() {
    let function = Function::new(settings());
    let pid = ask(&function, "pid").await.as_i64().unwrap();
    let pid = i32::try_from(pid).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    is_dead(pid).await;
    assert_ne!(ask(&function, "pid").await, pid);
    assert_eq!(function.environments(), 2);
}

#[tokio::test]
async fn an_answer_counts_though_the_process_exits_after_it_and_the_log_does_not_wait() {
    let function = Function::new(settings());
    let started = Instant::now();
    assert_eq!(ask(&function, "answer and exit").await, "the last words");
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    ask(&function, "pid").await;
    assert_eq!(function.environments(), 2);
}
