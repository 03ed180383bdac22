//! The command `rotatectl drill`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod browser;
mod elsewhere;
mod here;

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::LazyLock,
};

use local::{executable, world::World};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The rotation function, with the features that all tests are built with.
static FUNCTION: LazyLock<PathBuf> =
    LazyLock::new(|| executable::of_tests("--bin", "secret-rotation").unwrap());

/// What a drill came to.
struct Drill {
    output: Output,
    folder: TempDir,
}

impl Drill {
    /// To be run with these arguments, a report in a folder of its own, and nothing of this machine's AWS settings.
    fn command(folder: &TempDir, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotatectl"));
        command
            .arg("drill")
            .args(arguments)
            .arg("--report")
            .arg(folder.path().join("report.html"))
            .env_remove("AWS_CA_BUNDLE")
            .env_remove("AWS_PROFILE")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any");
        command
    }

    fn run(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = Self::command(&folder, arguments).output().unwrap();
        Self { output, folder }
    }

    /// In a local world of the command's own.
    fn here(arguments: &[&str]) -> Self {
        let function = FUNCTION.to_str().unwrap();
        Self::run(&[arguments, &["--local", "--function", function]].concat())
    }

    /// In this world, which the command knows by its endpoint alone.
    async fn in_world(world: &World, arguments: &[&str]) -> Self {
        let ca_file = world.postgres().ca_file();
        let place = [
            "--endpoint-url",
            world.endpoint(),
            "--ca-file",
            ca_file.to_str().unwrap(),
        ];
        let arguments: Vec<String> = [arguments, &place]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let run = move || Self::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    fn report(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("report.html")).unwrap()
    }

    #[track_caller]
    fn assert_ended_with(&self, code: i32) {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        assert_eq!(self.output.status.code(), Some(code), "{stdout}{stderr}");
    }

    /// Nor does stderr hold anything where there is no terminal to show progress on.
    #[track_caller]
    fn assert_plain(&self) {
        assert!(!self.stdout().contains('\u{1b}'), "{}", self.stdout());
        assert_eq!(self.stderr(), "");
    }
}

/// The passwords of all versions that the secret has.
async fn passwords(world: &World, secret: &str) -> Vec<String> {
    let mut passwords = Vec::new();
    for label in ["AWSCURRENT", "AWSPREVIOUS"] {
        let input = json!({ "SecretId": secret, "VersionStage": label });
        let Ok(value) = world.secrets_manager().call("GetSecretValue", input).await else {
            continue;
        };
        let document: Value =
            serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap();
        passwords.push(document["password"].as_str().unwrap().to_owned());
    }
    passwords
}

/// The version that a client reads.
async fn current(world: &World, secret: &str) -> String {
    let input = json!({ "SecretId": secret });
    let value = world
        .secrets_manager()
        .call("GetSecretValue", input)
        .await
        .unwrap();
    value["VersionId"].as_str().unwrap().to_owned()
}
