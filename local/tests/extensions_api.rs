//! The Extensions API of the Lambda host, with real functions and extensions in real processes.

#![cfg(test)]

mod common;

use std::{fs, path::PathBuf, time::Duration};

use common::{script, settings};
use local::{
    executable,
    lambda::{Function, FunctionSettings},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The shell that an extension of these tests begins with: the API's last answer is in files beside the folder.
const API: &str = r#"
said=$(dirname "$0")/../$(basename "$0")
call() { ASK "$said" "$@"; } # METHOD PATH BODY HEADER...
register() {
  events='{"events":["INVOKE","SHUTDOWN"]}'
  call POST register "${1:-$events}" "Lambda-Extension-Name: $(basename "$0")"
  id="Lambda-Extension-Identifier: $(sed -n 's/^lambda-extension-identifier: //p' "$said.head" | tr -d '\r')"
}
next() { call GET event/next '' "$id"; printf '%s\n' "$(cat "$said.body")"; }
"#;

/// A folder of extensions, each a name and its lines of shell.
struct Folder {
    all: TempDir,
    extensions: TempDir,
}

impl Folder {
    fn new(extensions: &[(&str, &str)]) -> Self {
        let all = tempfile::tempdir().unwrap();
        let inner = tempfile::tempdir_in(all.path()).unwrap();
        for (name, lines) in extensions {
            let ask = executable::of_tests("--example", "ask_extensions_api").unwrap();
            let api = API.replace("ASK", ask.to_str().unwrap());
            script(&inner, name, &format!("{api}{lines}"));
        }
        Self {
            all,
            extensions: inner,
        }
    }

    fn function(&self) -> Function {
        self.function_with(|_| {})
    }

    fn function_with(&self, change: impl FnOnce(&mut FunctionSettings)) -> Function {
        let mut settings = settings(example());
        settings.extensions = Some(self.extensions.path().to_owned());
        change(&mut settings);
        Function::new(settings)
    }

    /// What the API answered this extension last.
    fn said(&self, name: &str) -> String {
        let read = |part| fs::read_to_string(self.all.path().join(format!("{name}.{part}")));
        read("head").unwrap() + &read("body").unwrap()
    }
}

fn example() -> PathBuf {
    executable::of_tests("--example", "function").unwrap()
}

/// The events among the lines of a log.
fn events(log: &[String]) -> Vec<Value> {
    let lines = log.iter().filter(|line| line.contains("eventType"));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn error(function: &Function) -> (String, String) {
    let error = function.invoke(json!({})).await.outcome.unwrap_err();
    (error.error_type, error.error_message)
}

#[tokio::test]
async fn an_extension_is_registered_before_the_function_starts_and_gets_each_invocation() {
    let folder = Folder::new(&[("one", "register\necho registered\nwhile next; do :; done")]);
    let function = folder.function();
    for number in 0..2 {
        let invoked = function.invoke(json!({ "do": "context" })).await;
        let answer = invoked.outcome.unwrap();
        let log = invoked.log;
        // the function writes its line when it has the event
        let line = |part| log.iter().position(|line| line.contains(part));
        let registered = line("registered");
        assert_eq!(registered.is_some(), number == 0, "{log:?}");
        assert!(registered < line("got {"), "{log:?}");
        let event = &events(&log)[0];
        assert_eq!(events(&log).len(), 1, "{log:?}");
        assert_eq!(event["eventType"], "INVOKE");
        assert_eq!(event["invokedFunctionArn"], answer["arn"]);
        assert!(event["requestId"].as_str().unwrap().len() == 36);
        assert!(event["deadlineMs"].as_i64().unwrap() > 1_700_000_000_000);
    }
    assert_eq!(function.environments(), 1);
}

#[tokio::test]
async fn registering_answers_with_an_identifier_and_the_functions_name() {
    let keep =
        "register\ncp \"$said.head\" \"$said.first.head\"; cp \"$said.body\" \"$said.first.body\"";
    let folder = Folder::new(&[("one", &format!("{keep}\nwhile next; do :; done"))]);
    folder.function().invoke(json!({})).await.outcome.unwrap();
    let said = folder.said("one.first");
    assert!(said.contains("lambda-extension-identifier: "), "{said}");
    assert!(said.contains("\"functionName\":\"example\""), "{said}");
}

#[tokio::test]
async fn shutdown_comes_after_the_function_has_ended_and_one_that_does_not_end_is_killed() {
    let ends = "register\nnext\nnext\necho ends";
    let stays = "register\nwhile next; do :; done\necho stays";
    let folder = Folder::new(&[("ends", ends), ("stays", stays)]);
    let function = folder.function();
    function.invoke(json!({})).await.outcome.unwrap();
    let process = function.processes()[0];
    assert_eq!(function.shut_down().await, ["stays"]);
    assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
    let log: Vec<String> = function.log().into_iter().map(|line| line.text).collect();
    let told: Vec<Value> = events(&log);
    let told = told.iter().filter(|event| event["eventType"] == "SHUTDOWN");
    let reasons: Vec<&Value> = told.map(|event| &event["shutdownReason"]).collect();
    assert_eq!(reasons, ["SPINDOWN", "SPINDOWN"], "{log:?}");
    assert!(
        log.contains(&"ends".to_owned()) && !log.contains(&"stays".to_owned()),
        "{log:?}"
    );
    // a new environment serves the next invocation
    function.invoke(json!({})).await.outcome.unwrap();
    assert_eq!(function.environments(), 2);
}

#[tokio::test]
async fn a_timeout_of_the_function_is_the_reason_of_the_shutdown() {
    let folder = Folder::new(&[("one", "register\nnext\nnext")]);
    let function = folder.function_with(|settings| settings.timeout = Duration::from_secs(4));
    let invoked = function.invoke(json!({ "do": "hang" })).await;
    assert_eq!(invoked.outcome.unwrap_err().error_type, "Sandbox.Timedout");
    let events = events(&invoked.log);
    assert_eq!(events[1]["shutdownReason"], "TIMEOUT", "{events:?}");
}

#[tokio::test]
async fn an_invocation_ends_when_the_extensions_ask_for_the_next_event() {
    let folder = Folder::new(&[("one", "register\nnext\nsleep 0.3\necho late\nnext")]);
    let invoked = folder.function().invoke(json!({})).await;
    assert!(
        invoked.log.contains(&"late".to_owned()),
        "{:?}",
        invoked.log
    );
}

#[tokio::test]
async fn an_error_of_an_extension_at_its_start_or_later_fails_the_invocation_with_its_text() {
    let report = r#"call POST WHEN/error '{"errorMessage":"no token"}' "$id" 'Lambda-Extension-Function-Error-Type: Extension.ConfigInvalid'
cat "$said.body"; exit 1"#;
    let told = "one: Extension.ConfigInvalid: no token";
    let at_start = format!("register\n{}", report.replace("WHEN", "init"));
    let folder = Folder::new(&[("one", &at_start)]);
    assert_eq!(
        error(&folder.function()).await,
        ("Extension.InitError".to_owned(), told.to_owned())
    );
    let later = format!("register\nnext\n{}", report.replace("WHEN", "exit"));
    let folder = Folder::new(&[("one", &later)]);
    let function = folder.function();
    let invoked = function.invoke(json!({ "do": "hang" })).await;
    let error = invoked.outcome.unwrap_err();
    assert_eq!(error.error_type, "Extension.ExitError");
    assert_eq!(error.error_message, told);
    assert!(
        invoked.log.contains(&r#"{"status":"OK"}"#.to_owned()),
        "{:?}",
        invoked.log
    );
}

#[tokio::test]
async fn an_extension_that_ends_or_does_not_start_fails_the_invocation() {
    for lines in ["echo gone; exit 7", "register\nexit 7"] {
        let folder = Folder::new(&[("one", lines)]);
        let (error_type, said) = error(&folder.function()).await;
        assert_eq!(error_type, "Extension.Crash");
        assert_eq!(said, "one: exit status: 7");
    }
    let folder = Folder::new(&[]);
    fs::write(folder.extensions.path().join("data"), "no program").unwrap();
    let (error_type, said) = error(&folder.function()).await;
    assert_eq!(error_type, "Extension.LaunchError");
    assert!(said.contains("data"), "{said}");
}

#[tokio::test]
async fn a_function_does_not_start_before_its_extensions_are_registered() {
    let folder = Folder::new(&[("one", "sleep 1000")]);
    let function = folder.function_with(|settings| settings.timeout = Duration::from_millis(300));
    let invoked = function.invoke(json!({})).await;
    assert_eq!(invoked.outcome.unwrap_err().error_type, "Sandbox.Timedout");
    assert_eq!(invoked.log, Vec::<String>::new());
}

#[tokio::test]
async fn a_register_with_another_name_an_unknown_event_or_a_second_time_is_refused() {
    for (lines, told) in [
        (
            "call POST register '{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}' 'Lambda-Extension-Name: other'",
            "Extension.InvalidEventType",
        ),
        ("call POST register '{}'", "Extension.InvalidExtensionName"),
        (
            "register '{\"events\":[\"OTHER\"]}'",
            "Extension.InvalidEventType",
        ),
        ("register '{'", "InvalidRequestFormat"),
        ("register\nregister", "Extension.InvalidExtensionState"),
        ("register\ncall GET event/next", "Extension.MissingHeader"),
        (
            "register\ncall GET event/next '' 'Lambda-Extension-Identifier: other'",
            "Extension.UnknownExtensionIdentifier",
        ),
    ] {
        let folder = Folder::new(&[("one", lines)]);
        assert_eq!(error(&folder.function()).await.0, "Extension.Crash");
        let said = folder.said("one");
        assert!(said.starts_with("HTTP/1.1 403"), "{lines}: {said}");
        assert!(
            said.contains(&format!("\"errorType\":\"{told}\"")),
            "{lines}: {said}"
        );
    }
}

#[tokio::test]
async fn an_extension_has_the_functions_variables_except_those_of_the_runtime() {
    let folder = Folder::new(&[("one", "env\nregister\nwhile next; do :; done")]);
    let log = folder.function().invoke(json!({})).await.log;
    let has = |part: &str| log.iter().any(|line| line.starts_with(part));
    assert!(
        has("OWN=value") && has("AWS_SESSION_TOKEN=local"),
        "{log:?}"
    );
    assert!(!has("AWS_LAMBDA_LOG_GROUP_NAME="), "{log:?}");
}

#[tokio::test]
async fn between_two_invocations_the_processes_are_frozen_where_the_settings_say_so() {
    let folder = Folder::new(&[("one", "register\nwhile next; do :; done")]);
    let function = folder.function_with(|settings| settings.freezes = true);
    for _ in 0..3 {
        let invoked = function.invoke(json!({})).await;
        assert_eq!(events(&invoked.log).len(), 1);
        let stat = format!("/proc/{}/stat", function.processes()[0]);
        // the signal takes effect when the process is scheduled
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(function.environments(), 1);
    function.shut_down().await;
    let log = function.log();
    assert!(log.iter().any(|line| line.text.contains("SHUTDOWN")));
}

#[tokio::test]
async fn managed_instances_refuse_a_registration_for_invocations() {
    let shutdown = r#"register '{"events":["SHUTDOWN"]}'
while next; do :; done"#;
    for (lines, is_accepted) in [("register", false), (shutdown, true)] {
        let folder = Folder::new(&[("one", lines)]);
        let function = folder.function_with(|settings| {
            let kind = "AWS_LAMBDA_INITIALIZATION_TYPE".to_owned();
            settings
                .env
                .push((kind, "lambda-managed-instances".to_owned()));
        });
        let invoked = function.invoke(json!({})).await;
        assert_eq!(invoked.outcome.is_ok(), is_accepted, "{invoked:?}");
        assert_eq!(events(&invoked.log), Vec::<Value>::new());
    }
}
