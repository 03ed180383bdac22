//! An application in its own process: each way to connect, the listener, each store; every crate logs at TRACE, with metrics.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{self, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_config::BehaviorVersion;
use drill::application::{Access, Application as Workers};
use local::world::{REGION, World};
use metrics_util::debugging::DebuggingRecorder;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tracing::level_filters::LevelFilter;
use tracing_log::LogTracer;
use uuid::Uuid;

use crate::{
    common::{self, until},
    search::{Kind, Place, Secrets},
    stores,
};

/// It prints this when every worker works.
const READY: &str = "all work";

/// The process, as its parent sees it.
pub(crate) struct Application {
    process: Child,
    folder: TempDir,
}

impl Application {
    /// Starts this program's ignored test `test` with these secrets of a world, and returns when every worker works.
    pub(crate) async fn start(
        world: &World,
        test: &str,
        secrets: &[&str],
        access: &BTreeMap<&str, String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .env("LEAKS_SECRETS", secrets.join(" "))
            .env("LEAKS_FOLDER", folder.path())
            .env("LEAKS_CA_FILE", world.postgres().ca_file())
            .env("AWS_ENDPOINT_URL", world.endpoint())
            .env("AWS_REGION", REGION)
            .envs(access)
            .stdin(Stdio::piped())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        let mut application = Self { process, folder };
        let ended = RefCell::new(&mut application.process);
        let folder = &application.folder;
        until("the application works, or has ended", async || {
            written(folder, "stdout").contains(READY)
                || ended.borrow_mut().try_wait().unwrap().is_some()
        })
        .await;
        let printed = written(folder, "stdout");
        assert!(
            printed.contains(READY),
            "{}",
            end_of(&written(folder, "stderr"))
        );
        application
    }

    /// Ends it, adds the secrets that it made, and returns its output and its log.
    pub(crate) fn end(mut self, secrets: &mut Secrets) -> Vec<Place> {
        drop(self.process.stdin.take());
        let status = self.process.wait().unwrap();
        let (printed, log) = (
            written(&self.folder, "stdout"),
            written(&self.folder, "stderr"),
        );
        assert!(status.success(), "{}", end_of(&log));
        assert!(
            log.contains("TRACE") && printed.contains("CompositeKey"),
            "{}",
            end_of(&log)
        );
        for line in written(&self.folder, "made").lines() {
            let (kind, secret): (String, String) = serde_json::from_str(line).unwrap();
            match kind.as_str() {
                "password" => secrets.add(Kind::Password, &secret),
                "value" => secrets.add_value(&secret),
                _ => secrets.add(Kind::Access, &secret),
            }
        }
        vec![
            Place::new(
                "the application's output: results, errors, metrics",
                printed,
            ),
            Place::new("the application's log", log),
        ]
    }
}

fn written(folder: &TempDir, name: &str) -> String {
    let bytes = fs::read(folder.path().join(name)).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The secrets that the process makes, which it writes into a file for its parent.
pub(crate) struct Made(File);

impl Made {
    pub(crate) fn password(&mut self) -> String {
        let secret = format!("p\"w\\d &<%41>+é/{}", Uuid::new_v4().simple());
        self.write("password", &secret);
        secret
    }

    pub(crate) fn token_for_a_header(&mut self) -> String {
        let secret = stores::for_a_header();
        self.write("access", &secret);
        secret
    }

    pub(crate) fn value(&mut self, value: &str) {
        self.write("value", value);
    }

    fn write(&mut self, kind: &str, secret: &str) {
        writeln!(self.0, "{}", json!([kind, secret])).unwrap();
    }
}

/// What the process runs. Without LEAKS_SECRETS, the parent did not start it, and it does nothing.
pub(crate) fn run() {
    let Ok(secrets) = env::var("LEAKS_SECRETS") else {
        return;
    };
    // vaultrs uses the process's default
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    LogTracer::init().unwrap();
    tracing::subscriber::set_global_default(
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(io::stderr)
            .finish(),
    )
    .unwrap();
    let recorder = DebuggingRecorder::new();
    let counted = recorder.snapshotter();
    recorder.install().unwrap();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work(&secrets));
    let metrics = counted.snapshot().into_vec();
    assert!(!metrics.is_empty());
    println!("{metrics:?}");
}

async fn work(secrets: &str) {
    let folder = PathBuf::from(env::var_os("LEAKS_FOLDER").unwrap());
    let mut made = Made(File::create(folder.join("made")).unwrap());
    println!("{}", stores::read(&mut made).await);

    let http = aws_smithy_http_client::Builder::new().build_http();
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .load()
        .await;
    let service = aws_sdk_secretsmanager::Client::new(&shared);
    let workload = drill::application::Workload {
        workers: 1,
        pause: Duration::from_millis(200),
        ..common::workload(Duration::from_secs(2), true)
    };
    let mut all = Vec::new();
    for secret in secrets.split(' ') {
        let access = Access {
            service: service.clone(),
            secret: secret.to_owned(),
            ca_file: env::var_os("LEAKS_CA_FILE").map(PathBuf::from),
            database_ahead: 0,
        };
        all.push(Workers::start(&access, &workload).await.unwrap());
    }
    until("all work", async || all.iter().all(Workers::all_work)).await;
    println!("{READY}");
    // until the parent closes it
    let ended = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    ended.await.unwrap().unwrap();
    for workers in &all {
        println!("{:?}", workers.summaries());
    }
}
