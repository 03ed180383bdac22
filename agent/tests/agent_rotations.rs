//! psql through real rotations: the function rotates, the agent writes, psql logs in.

#![cfg(test)]

mod common;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Agent, folder::SHORT, until};
use local::{
    executable,
    world::{Options, World},
};
use tempfile::TempDir;

/// A world that rotates, and an agent that writes a service file for one of its secrets.
struct Rotating {
    world: World,
    secret: String,
    file: PathBuf,
    _agent: Agent,
    _folder: TempDir,
}

impl Rotating {
    async fn start(secret: impl FnOnce(&World) -> &'static str) -> Self {
        let function = executable::of_tests("--bin", "secret-rotation").unwrap();
        let world = World::start(Options::new(function)).await.unwrap();
        let secret = secret(&world).to_owned();
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().canonicalize().unwrap().join("out");
        let own = format!(
            "[[files]]\nsecret = \"{secret}\"\ndirectory = \"{}\"\nwrite = [{{ parameters = {{ sslrootcert = \"{}\" }} }}]",
            directory.display(),
            world.ca_file().display()
        );
        let rotating = Self {
            _agent: Agent::start(world.endpoint(), SHORT, &own),
            file: directory.join("current/pg_service.conf"),
            secret,
            world,
            _folder: folder,
        };
        rotating.follows().await;
        rotating
    }

    /// Waits until the file holds the current version.
    async fn follows(&self) {
        let input = serde_json::json!({ "SecretId": self.secret });
        let read = self
            .world
            .secrets_manager()
            .call("GetSecretValue", input)
            .await
            .unwrap();
        let document: serde_json::Value =
            serde_json::from_str(read["SecretString"].as_str().unwrap()).unwrap();
        let line = format!("password={}\n", document["password"].as_str().unwrap());
        until(async || {
            fs::read_to_string(&self.file)
                .is_ok_and(|text| text.contains(&line))
                .then_some(())
        })
        .await;
    }

    async fn rotate(&self) {
        self.world
            .secrets_manager()
            .rotate(&self.secret)
            .await
            .unwrap();
    }
}

/// psql, one login after the other, from a thread of its own.
struct Psql {
    logins: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<(Duration, String)>>,
}

impl Psql {
    fn start(file: PathBuf) -> Self {
        let (logins, ends) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counted, told, began) = (logins.clone(), ends.clone(), Instant::now());
        let thread = std::thread::spawn(move || {
            let mut failed = Vec::new();
            while !told.load(Ordering::SeqCst) {
                let psql = Command::new("psql")
                    .args([
                        "-X",
                        "-w",
                        "-At",
                        "-c",
                        "SELECT current_user",
                        "service=default",
                    ])
                    .env_clear()
                    .env("PATH", std::env::var_os("PATH").unwrap())
                    .env("PGSERVICEFILE", &file)
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                if !psql.status.success() {
                    failed.push((
                        began.elapsed(),
                        String::from_utf8_lossy(&psql.stderr).into_owned(),
                    ));
                }
                counted.fetch_add(1, Ordering::SeqCst);
            }
            failed
        });
        Self {
            logins,
            ends,
            thread,
        }
    }

    /// Waits for logins that begin from now on.
    async fn log_in(&self, times: usize) {
        let before = self.logins.load(Ordering::SeqCst);
        until(async || (self.logins.load(Ordering::SeqCst) > before + times).then_some(())).await;
    }

    /// How many logins there were, and those that failed.
    fn end(self) -> (usize, Vec<(Duration, String)>) {
        self.ends.store(true, Ordering::SeqCst);
        let failed = self.thread.join().unwrap();
        (self.logins.load(Ordering::SeqCst), failed)
    }
}

fn has_psql() -> bool {
    let has = Command::new("psql").arg("--version").output().is_ok();
    if !has {
        eprintln!(
            "skipped: psql through rotations: psql is not installed; apt-get install postgresql-client"
        );
    }
    has
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_logs_in_through_ten_rotations_of_alternating_users_without_a_failure() {
    if !has_psql() {
        return;
    }
    let rotating = Rotating::start(World::alternating_users).await;
    let psql = Psql::start(rotating.file.clone());
    psql.log_in(2).await;
    for _ in 0..10 {
        rotating.rotate().await;
        rotating.follows().await;
        // the next rotation changes the password of the user before: whoever read the file by now has logged in
        psql.log_in(1).await;
    }
    psql.log_in(2).await;
    let (logins, failed) = psql.end();
    assert!(
        failed.is_empty(),
        "{} of {logins}: {:?}",
        failed.len(),
        failed.first()
    );
    println!("alternating users: 0 of {logins} logins failed in 10 rotations");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_single_user_the_logins_that_fail_are_counted() {
    if !has_psql() {
        return;
    }
    let rotating = Rotating::start(World::single_user).await;
    let psql = Psql::start(rotating.file.clone());
    psql.log_in(2).await;
    let mut until_followed = Duration::ZERO;
    for _ in 0..10 {
        let began = Instant::now();
        rotating.rotate().await;
        rotating.follows().await;
        until_followed += began.elapsed();
        psql.log_in(2).await;
    }
    // logins work again after each rotation
    let (logins, failed) = psql.end();
    assert!(
        failed
            .iter()
            .all(|(_, said)| said.contains("password authentication failed")),
        "{failed:?}"
    );
    println!(
        "single user, ttl_seconds = 1: {} of {logins} logins failed in 10 rotations; from the rotation's begin to the file's change {:?} on average",
        failed.len(),
        until_followed / 10
    );
}
