//! The log goes to standard error. The agent does not wait until someone reads it.

#![cfg(test)]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, ChildStderr, Command, Stdio},
};

use common::{TOKEN, command, create, exchange, secrets_manager, token, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rotating_secret_agent::log::Log;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// More lines than a pipe and the agent's queue hold.
const LINES: usize = 6000;

/// An agent whose standard error nobody reads after its start.
struct Unread {
    child: Child,
    log: BufReader<ChildStderr>,
    port: u16,
    _folder: TempDir,
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Unread {
    fn start(endpoint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let awss =
            "[logging]\nlog_level = \"debug\"\n[capabilities.secrets_manager]\nhttp_port = 0\n";
        std::fs::write(path("awss.toml"), awss).unwrap();
        std::fs::write(path("own.toml"), format!("endpoint = \"{endpoint}\"\n")).unwrap();
        let mut command = command();
        command
            .args(["sm", "start", "--config"])
            .arg(path("awss.toml"));
        command.arg("--settings").arg(path("own.toml"));
        command.env("AWS_TOKEN", TOKEN).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let port = loop {
            let mut line = String::new();
            log.read_line(&mut line).unwrap();
            if let Some((_, port)) = line.split_once("port=") {
                break port.trim().parse().unwrap();
            }
        };
        Self {
            child,
            log,
            port,
            _folder: folder,
        }
    }

    /// Lets it write these lines: a warning for each absent id.
    async fn fill(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        for batch in 0..LINES / 20 {
            let ids: Vec<_> = (0..20).map(|id| format!("absent/{batch}/{id}")).collect();
            let input = json!({ "SecretIdList": ids }).to_string();
            let request = format!(
                "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: secretsmanager.BatchGetSecretValue\r\n\
                 X-Amz-Security-Token: {TOKEN}\r\nContent-Length: {}\r\n\r\n{input}",
                input.len()
            );
            let answer = exchange(&mut stream, &request).await.unwrap();
            assert_eq!(answer.json()["Errors"].as_array().unwrap().len(), 20);
        }
    }

    async fn read(&self, id: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let request = format!(
            "GET /v1/{id} HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            token()
        );
        exchange(&mut stream, &request).await.unwrap().value()
    }
}

#[tokio::test]
async fn standard_error_that_nobody_reads_holds_up_no_reader_and_the_lines_that_it_costs_are_counted()
 {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "orders/db", "one").await;
    let mut agent = Unread::start(&endpoint);
    agent.fill().await;
    assert_eq!(agent.read("orders/db").await, "one");
    let (mut written, mut dropped, mut line) = (0, 0, String::new());
    while written + dropped < LINES {
        line.clear();
        agent.log.read_line(&mut line).unwrap();
        written += usize::from(line.contains("absent/"));
        if let Some((count, _)) = line.split_once(" lines of the log were dropped") {
            dropped += count.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap();
        }
    }
    assert_eq!(written + dropped, LINES);
    assert!(written > 4000 && dropped > 1000, "{written} {dropped}");
}

/// What the test below runs, in a process whose standard error nobody reads.
#[test]
#[ignore = "it panics, and changes what a panic does in its process"]
fn a_panic() {
    let log = Log::begin().unwrap();
    log.panics();
    let panics = std::thread::spawn(|| panic!("that nobody reads of"));
    assert!(panics.join().is_err());
    log.line("after it");
}

#[tokio::test]
async fn a_panic_is_in_the_log_and_waits_for_no_reader_of_standard_error() {
    let (unread, mut stderr) = UnixStream::pair().unwrap();
    // until nothing more fits
    stderr.set_nonblocking(true).unwrap();
    while stderr.write_all(b"\n").is_ok() {}
    stderr.set_nonblocking(false).unwrap();
    for is_read in [false, true] {
        let mut panics = Command::new(std::env::current_exe().unwrap());
        panics.args(["--ignored", "--exact", "a_panic", "--nocapture"]);
        panics
            .stdout(Stdio::null())
            .stderr(OwnedFd::from(stderr.try_clone().unwrap()));
        let mut panics = panics.spawn().unwrap();
        if is_read {
            let lines = BufReader::new(unread.try_clone().unwrap()).lines();
            let mut lines = lines.map(Result::unwrap);
            lines.find(|line| line.contains("panicked at")).unwrap();
            lines.find(|line| line == "after it").unwrap();
        }
        let status = until(async || panics.try_wait().unwrap()).await;
        assert!(status.success());
    }
}

#[tokio::test]
async fn an_agent_whose_standard_error_nobody_reads_still_ends() {
    let (_, endpoint) = secrets_manager().await;
    let mut agent = Unread::start(&endpoint);
    agent.fill().await;
    let pid = agent.child.id().try_into().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    until(async || agent.child.try_wait().unwrap()).await;
}
