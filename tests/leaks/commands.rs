//! Runs rotatectl, and collects everything that it writes.

use std::{collections::BTreeMap, fs, process::Stdio};

use local::{
    executable,
    world::{REGION, World},
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::search::Place;

/// The folder in which rotatectl runs, and everything that it wrote.
pub(crate) struct Commands {
    folder: TempDir,
    access: BTreeMap<&'static str, String>,
    pub(crate) places: Vec<Place>,
}

impl Commands {
    pub(crate) fn new(access: &BTreeMap<&'static str, String>) -> Self {
        let (folder, access) = (tempfile::tempdir().unwrap(), access.clone());
        Self {
            folder,
            access,
            places: Vec::new(),
        }
    }

    /// Runs it with these arguments, split at spaces, and `typed` as its input; returns its exit code.
    pub(crate) async fn run(&mut self, world: &World, arguments: &str, typed: &str) -> i32 {
        let rotatectl = tokio::task::spawn_blocking(|| executable::of_tests("--bin", "rotatectl"));
        let mut command = Command::new(rotatectl.await.unwrap().unwrap());
        command
            .args(arguments.split(' '))
            .current_dir(self.folder.path());
        for level in ["RUST_LOG", "LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"] {
            command.env(level, "trace");
        }
        let mut process = command
            .env("AWS_ENDPOINT_URL", world.endpoint())
            .env("AWS_REGION", REGION)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("TLS_CA_FILE", world.ca_file())
            .envs(&self.access)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // fails when it ends before it reads
        let _ = process
            .stdin
            .take()
            .unwrap()
            .write_all(typed.as_bytes())
            .await;
        let output = process.wait_with_output().await.unwrap();
        let name = format!("rotatectl {arguments}");
        self.places
            .push(Place::new(name, [output.stdout, output.stderr].concat()));
        output.status.code().unwrap()
    }

    /// The output of the last run.
    pub(crate) fn said(&self) -> String {
        let last = self.places.last().unwrap();
        String::from_utf8_lossy(&last.text).into_owned()
    }

    /// All its output, and the files that it wrote: the reports.
    pub(crate) fn end(mut self) -> Vec<Place> {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            self.places.push(Place::new(name, fs::read(path).unwrap()));
        }
        self.places
    }
}
