//! What the command says without any service: help and mistakes, as recorded in `recorded/`; completions; man pages.
//!
//! `TRYCMD=overwrite cargo test … --test recorded` records them anew.

#![cfg(test)]

mod common;

use common::{at, run, stdout_of};

/// Nothing answers there, and nothing is asked.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn help_and_mistakes_read_as_recorded() {
    let cases = trycmd::TestCases::new();
    cases.case("tests/recorded/mistakes.trycmd");
    // as all features have it
    if cfg!(feature = "local") {
        cases.case("tests/recorded/help.trycmd");
    }
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
        let ran = run(at(NOWHERE, &["completions", shell])).await;
        let said = stdout_of(&ran.success());
        for word in [
            "status",
            "rotate",
            "compromised",
            "max-parallel",
            "single-user",
            "endpoint-url",
        ] {
            assert!(said.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn there_is_a_man_page_for_the_command_and_one_for_each_of_its_commands() {
    let ran = run(at(NOWHERE, &["man"])).await;
    let page = stdout_of(&ran.success());
    assert!(page.contains(".TH rotatectl 1"), "{page}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let ran = run(at(NOWHERE, &["man", "--output-dir", path])).await;
    ran.success();
    for (page, says) in [
        ("rotatectl.1", "Exit codes"),
        ("rotatectl-status.1", "\\-\\-stuck\\-after"),
        ("rotatectl-rotate.1", "Examples:"),
        ("rotatectl-init.1", "\\-\\-kms\\-key"),
        ("rotatectl-compromised.1", "\\-\\-grace"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(says), "{page}: {text}");
    }
}
