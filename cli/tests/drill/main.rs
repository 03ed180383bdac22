//! The command `rotatectl drill`.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod browser;
mod elsewhere;
mod here;

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::LazyLock,
};

use local::{executable, world::World};
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
    /// To be run with these arguments, a report in a folder of its own, and no other endpoint than they name.
    fn command(folder: &TempDir, arguments: &[&str]) -> Command {
        let mut command = common::at("http://127.0.0.1:1", &["drill"]);
        let report = folder.path().join("report.html");
        command.args(arguments).arg("--report").arg(report);
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
        let folder = tempfile::tempdir().unwrap();
        let mut command = Self::command(&folder, arguments);
        command.args(["--endpoint-url", world.endpoint()]);
        command.arg("--ca-file").arg(ca_file);
        let output = common::run(command).await.get_output().clone();
        Self { output, folder }
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

    /// Nor does stderr show progress where there is no terminal: it says what is rotated, and where.
    #[track_caller]
    fn assert_plain(&self) {
        assert!(!self.stdout().contains('\u{1b}'), "{}", self.stdout());
        let told = self.stderr();
        assert!(
            told.lines().all(|line| line.starts_with("rotating ")),
            "{told}"
        );
    }
}
