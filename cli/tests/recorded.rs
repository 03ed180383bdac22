//! What the command says without any service: help and mistakes, as recorded in `recorded/`; completions; man pages.
//!
//! `TRYCMD=overwrite cargo test … --test recorded` records them anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{command, run};

#[test]
fn help_and_mistakes_read_as_recorded() {
    let cases = trycmd::TestCases::new();
    cases.case("tests/recorded/*.trycmd");
    // no setting of whoever runs the tests
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"] {
        cases.env(variable, "");
    }
    cases
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_CA_BUNDLE", "")
        .env("AWS_EC2_METADATA_DISABLED", "true");
}

#[tokio::test]
async fn each_shells_completions_know_the_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(command("http://127.0.0.1:1", &["completions", shell])).await;
        let said = String::from_utf8(ran.success().get_output().stdout.clone()).unwrap();
        for word in [
            "status",
            "rotate",
            "compromised",
            "max-parallel",
            "endpoint-url",
        ] {
            assert!(said.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn there_is_a_man_page_for_the_command_and_one_for_each_of_its_commands() {
    let ran = run(command("http://127.0.0.1:1", &["man"])).await;
    let page = String::from_utf8(ran.success().get_output().stdout.clone()).unwrap();
    assert!(page.contains(".TH rotatectl 1"), "{page}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    run(command(
        "http://127.0.0.1:1",
        &["man", "--output-dir", path],
    ))
    .await
    .success();
    for (page, says) in [
        ("rotatectl.1", "Exit codes"),
        ("rotatectl-status.1", "\\-\\-stuck\\-after"),
        ("rotatectl-rotate.1", "Examples:"),
        ("rotatectl-compromised.1", "\\-\\-grace"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(says), "{page}: {text}");
    }
}
