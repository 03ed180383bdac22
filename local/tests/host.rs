//! The Lambda host, with a real function in real processes.

#![cfg(test)]

mod common;

use std::time::{Duration, Instant};

use common::settings;
use local::{
    executable,
    lambda::{Function, FunctionSettings},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// How long the host waits for a process that has answered to ask for its next event, and less.
const UNTIL_NEXT: Duration = Duration::from_secs(8);

/// `examples/function.rs`, which cargo builds for a whole test run, but not for this file alone.
fn example() -> Function {
    let binary = executable::of_tests("--example", "function").unwrap();
    Function::new(settings(binary))
}

async fn ask(function: &Function, what: &str) -> Value {
    let invoked = function.invoke(json!({ "do": what })).await;
    invoked.outcome.unwrap()
}

#[tokio::test]
async fn the_function_gets_the_events_json_and_its_answer_is_returned() {
    let function = example();
    let event = json!({ "any": ["thing", 1.5, null] });
    let invoked = function.invoke(event.clone()).await;
    assert_eq!(invoked.outcome.unwrap(), event);
}

#[tokio::test]
async fn the_functions_output_is_the_invocations_log_line_by_line() {
    let function = example();
    for number in 0..3 {
        let invoked = function.invoke(json!({ "number": number })).await;
        assert_eq!(invoked.log, [format!("got {{\"number\":{number}}}")]);
    }
}

#[tokio::test]
async fn a_warm_environment_is_used_again_and_a_busy_one_is_not_waited_for() {
    let function = example();
    let pid = ask(&function, "pid").await;
    assert_eq!(ask(&function, "pid").await, pid);
    assert_eq!(function.environments(), 1);
    let (one, other) = tokio::join!(ask(&function, "pid"), ask(&function, "pid"));
    assert_ne!(one, other);
    assert_eq!(function.environments(), 2);
}

#[tokio::test]
async fn with_cold_starts_each_invocation_has_its_own_process() {
    let binary = executable::of_tests("--example", "function").unwrap();
    let function = Function::new(FunctionSettings {
        cold_starts: true,
        ..settings(binary)
    });
    for number in 1..=3 {
        let invoked = function.invoke(json!({ "do": "pid" })).await;
        let pid = invoked.outcome.unwrap().as_i64().unwrap();
        assert!(kill(Pid::from_raw(pid.try_into().unwrap()), None).is_err());
        assert_eq!(invoked.log, ["got {\"do\":\"pid\"}"]);
        assert_eq!(function.environments(), number);
    }
}

#[tokio::test]
async fn a_functions_error_is_returned_with_its_type_and_the_environment_stays() {
    let function = example();
    let invoked = function.invoke(json!({ "do": "fail" })).await;
    let error = invoked.outcome.unwrap_err();
    assert_eq!(error.error_type, "Asked");
    assert_eq!(error.error_message, "it was asked to fail");
    ask(&function, "pid").await;
    assert_eq!(function.environments(), 1);
}

#[tokio::test]
async fn a_process_that_exits_is_an_error_and_the_next_invocation_gets_a_new_one() {
    let function = example();
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
    let binary = executable::of_tests("--example", "function").unwrap();
    let function = Function::new(FunctionSettings {
        timeout: Duration::from_millis(300),
        ..settings(binary)
    });
    let invoked = function.invoke(json!({ "do": "hang" })).await;
    let error = invoked.outcome.unwrap_err();
    assert_eq!(error.error_type, "Sandbox.Timedout");
    let told = "Task timed out after 0.30 seconds";
    assert!(error.error_message.contains(told), "{error}");
}

#[tokio::test]
async fn a_process_that_is_killed_fails_its_invocation_at_once() {
    let function = example();
    ask(&function, "pid").await;
    let (invoked, ()) = tokio::join!(function.invoke(json!({ "do": "hang" })), function.kill());
    assert_eq!(invoked.outcome.unwrap_err().error_type, "Runtime.ExitError");
}

#[tokio::test]
async fn the_function_sees_lambdas_environment_variables_and_none_of_ours() {
    let function = example();
    let environment = ask(&function, "environment").await;
    for (name, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "example"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("OWN", "value"),
    ] {
        assert_eq!(environment[name], value);
    }
    let ours = std::env::var_os("CARGO_MANIFEST_DIR");
    assert!(ours.is_some(), "there is something that could be seen");
    assert!(environment.get("HOME").is_none() && environment.get("CARGO_MANIFEST_DIR").is_none());
}

#[tokio::test]
async fn the_function_receives_its_arn_and_its_deadline() {
    let function = example();
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
async fn a_binary_that_cannot_be_started_is_reported_by_its_path() {
    let function = Function::new(settings("/nowhere/function"));
    let error = function.invoke(json!({})).await.outcome.unwrap_err();
    assert_eq!(error.error_type, "Runtime.InvalidEntrypoint");
    assert!(error.error_message.contains("/nowhere/function"), "{error}");
}

/// Waits until the process is dead, though nobody waited for it: Linux calls it a zombie, other systems do not tell.
async fn is_dead(pid: i32) {
    let started = Instant::now();
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat"));
    while state().is_ok_and(|state| !state.contains(") Z ")) {
        let patient = started.elapsed() < Duration::from_secs(60);
        assert!(patient, "{pid} lives on");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_process_that_died_between_two_invocations_fails_neither_of_them() {
    let function = example();
    let pid = ask(&function, "pid").await.as_i64().unwrap();
    let pid = i32::try_from(pid).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    is_dead(pid).await;
    assert_ne!(ask(&function, "pid").await, pid);
    assert_eq!(function.environments(), 2);
}

#[tokio::test]
async fn an_answer_counts_even_if_the_process_exits_after_it_and_the_log_does_not_wait() {
    let function = example();
    let started = Instant::now();
    assert_eq!(ask(&function, "answer and exit").await, "the last words");
    let took = started.elapsed();
    assert!(took < UNTIL_NEXT, "{took:?}");
    ask(&function, "pid").await;
    assert_eq!(function.environments(), 2);
}
