//! What the command says without any service: help and mistakes, as recorded in `recorded/`; completions; man pages.
//!
//! `TRYCMD=overwrite cargo test … --test recorded` records them again.

#![cfg(test)]

mod common;

use std::process::Command;

use common::{at, run, stdout_of, world};

/// Nothing answers there, and nothing is asked.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The widths that people have.
const WIDTHS: [usize; 2] = [80, 120];

#[test]
fn help_and_error_texts_are_as_recorded_at_80_and_at_120_columns() {
    for width in WIDTHS {
        let cases = trycmd::TestCases::new();
        cases.case("tests/recorded/mistakes.trycmd");
        // as all features have it
        if cfg!(feature = "local") {
            cases.case(format!("tests/recorded/{width}/help.trycmd"));
        }
        // no setting of the person who runs the tests
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"] {
            cases.env(variable, "");
        }
        cases
            .env("COLUMNS", width.to_string())
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_CA_BUNDLE", "")
            .env("AWS_EC2_METADATA_DISABLED", "true");
    }
}

#[test]
fn no_line_of_help_is_wider_than_the_terminal() {
    for width in WIDTHS {
        let file = format!("tests/recorded/{width}/help.trycmd");
        let help = std::fs::read_to_string(&file).unwrap();
        // a usage line is a command's whole form, which clap does not wrap
        let lines = help.lines().filter(|line| !line.starts_with("Usage: "));
        for line in lines {
            assert!(line.chars().count() <= width, "{file}: {line}");
        }
    }
}

#[tokio::test]
async fn each_shell_completes_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(at(NOWHERE, &["completions", shell])).await;
        let script = stdout_of(&ran.success());
        assert!(script.contains("ROTATECTL_COMPLETE"), "{shell}: {script}");
    }
    for (words, expected) in [
        (&["com"][..], "compromised"),
        (&["rotate", "--max"], "--max-parallel"),
        (&["local", "up", "--promotion", "mo"], "moves-pending"),
    ] {
        let said = stdout_of(&run(completing(NOWHERE, words)).await.success());
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}

#[tokio::test]
async fn names_of_secrets_are_completed_and_no_error_disturbs_the_line() {
    let world = world().await;
    let said = run(completing(world.endpoint(), &["doctor", "demo/o"])).await;
    assert_eq!(stdout_of(&said.success()), "demo/orders/single");
    let nobody = run(completing(NOWHERE, &["doctor", "demo/o"])).await;
    nobody.success().stdout_eq("").stderr_eq("");
}

/// What bash's script runs when someone presses Tab after these words.
fn completing(endpoint: &str, words: &[&str]) -> Command {
    let line = [&["--", "rotatectl"], words].concat();
    let mut command = at(endpoint, &line);
    command
        .env("ROTATECTL_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n");
    command
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
        ("rotatectl.1", "EXIT STATUS"),
        ("rotatectl-status.1", ".SH ENVIRONMENT"),
        ("rotatectl-status.1", "TLS_CA_FILE"),
        ("rotatectl-status.1", "\\-\\-stuck\\-after"),
        ("rotatectl-rotate.1", "Examples:"),
        ("rotatectl-init.1", "\\-\\-kms\\-key"),
        ("rotatectl-compromised.1", "\\-\\-grace"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(says), "{page}: {text}");
    }
}
