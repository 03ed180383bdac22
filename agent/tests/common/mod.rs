//! The real binary with a local Secrets Manager, and a client that sends bytes unchanged.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod folder;
pub(crate) mod rotating;
pub(crate) mod tools;
pub(crate) mod watch;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use local::{
    invocation::{Invoke, Invoked},
    secrets_manager::{Behavior, Fault, SecretsManager, ServiceError},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Reports a skipped test on the real stderr: the harness hides what a passing test prints.
pub(crate) fn skipped(what_and_why: &str) {
    writeln!(std::io::stderr(), "skipped: {what_and_why}").unwrap();
}

pub(crate) const TOKEN: &str = "the-t0ken-of-these-tests";

/// A Secrets Manager, and an agent that reads from it.
pub(crate) struct World {
    pub(crate) service: SecretsManager,
    pub(crate) endpoint: String,
    pub(crate) agent: Agent,
}

/// A running agent.
pub(crate) struct Agent {
    child: Child,
    pub(crate) port: u16,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    files: TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A world with these lines in AWS's file, below `[capabilities.secrets_manager]`.
pub(crate) async fn world(lines: &str) -> World {
    let (service, endpoint) = secrets_manager().await;
    let agent = Agent::start(&endpoint, lines, "");
    World {
        service,
        endpoint,
        agent,
    }
}

/// A Secrets Manager whose rotations do nothing.
pub(crate) async fn secrets_manager() -> (SecretsManager, String) {
    let invoke: Invoke = Arc::new(|event| {
        Box::pin(async {
            Invoked {
                outcome: Ok(event),
                log: Vec::new(),
                took: Duration::ZERO,
            }
        })
    });
    let service = SecretsManager::new("us-east-1", invoke);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = local::sts::beside(service.router(), service.iam().clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (service, endpoint)
}

/// The agent's command with only this environment.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rotating-secret-agent"));
    command
        .env_clear()
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAAGENT")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .stdin(Stdio::null());
    command
}

/// Lets a shell run the command: `exec "$@"` in this text stands for it.
pub(crate) fn behind(command: &mut Command, text: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", text, "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    let set = command.get_envs();
    let set = set.filter_map(|(name, value)| Some((name, value?)));
    shell
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(set);
    shell.stdin(Stdio::null()).stderr(Stdio::piped());
    *command = shell;
}

/// Writes AWS's file and ours.
fn write_settings(folder: &Path, endpoint: &str, lines: &str, own: &str) {
    let port = match lines.contains("http_port") {
        true => "",
        false => "http_port = 0\n",
    };
    let nested = format!("[capabilities.secrets_manager]\n{port}{lines}\n");
    std::fs::write(folder.join("awss.toml"), nested).unwrap();
    let own = format!("endpoint = \"{endpoint}\"\n{own}\n");
    std::fs::write(folder.join("own.toml"), own).unwrap();
}

impl Agent {
    /// Writes its settings again, and sends SIGHUP.
    pub(crate) fn reload(&self, endpoint: &str, lines: &str, own: &str) {
        write_settings(self.files.path(), endpoint, lines, own);
        kill(Pid::from_raw(self.pid()), Signal::SIGHUP).unwrap();
    }

    pub(crate) fn start(endpoint: &str, lines: &str, own: &str) -> Self {
        Self::start_with(endpoint, lines, own, |command| {
            command.env("AWS_TOKEN", TOKEN);
        })
    }

    pub(crate) fn start_with(
        endpoint: &str,
        lines: &str,
        own: &str,
        with: impl FnOnce(&mut Command),
    ) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (config, settings) = (
            files.path().join("awss.toml"),
            files.path().join("own.toml"),
        );
        write_settings(files.path(), endpoint, lines, own);
        let mut command = command();
        command.args(["sm", "start", "--config"]).arg(&config);
        command
            .arg("--settings")
            .arg(&settings)
            .stderr(Stdio::piped());
        with(&mut command);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let port = loop {
            let line = lines.next().expect("it ended, see the log").unwrap();
            *log.lock().unwrap() += &format!("{line}\n");
            if let Some((_, port)) = line.split_once("port=") {
                break port.trim().parse().unwrap();
            }
        };
        let writer = log.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *writer.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self {
            child,
            port,
            log,
            reader: Some(reader),
            files,
        }
    }

    /// The file with our settings.
    pub(crate) fn settings(&self) -> PathBuf {
        self.files.path().join("own.toml")
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The log so far: a line may arrive after the answer that it is about. Wait for it with [`until`].
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Ends the agent, and returns all that it has logged.
    pub(crate) fn whole_log(&mut self) -> String {
        if !self.has_ended() {
            // SIGKILL would end its log too
            kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
        }
        self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.log()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends these bytes on a new connection.
    pub(crate) async fn send(&self, request: &str) -> Reply {
        let mut stream = self.connect().await;
        exchange(&mut stream, request).await.unwrap()
    }

    pub(crate) async fn request(&self, method: &str, target: &str, headers: &str) -> Reply {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: localhost:2773\r\n{headers}\r\n");
        self.send(&request).await
    }

    /// Sends a GET with the token.
    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.request("GET", target, &token()).await
    }

    /// Reads a secret with the query `secretId`.
    pub(crate) async fn read(&self, query: &str) -> Reply {
        self.get(&format!("/secretsmanager/get?secretId={query}"))
            .await
    }

    /// Calls an operation of the SDKs' protocol.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Reply {
        let headers = format!("X-Amz-Security-Token: {TOKEN}\r\n");
        self.call_with("/", &headers, operation, &input.to_string())
            .await
    }

    pub(crate) async fn call_with(
        &self,
        path: &str,
        headers: &str,
        operation: &str,
        body: &str,
    ) -> Reply {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:2773\r\nX-Amz-Target: secretsmanager.{operation}\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.send(&request).await
    }
}

pub(crate) fn token() -> String {
    format!("X-Aws-Parameters-Secrets-Token: {TOKEN}\r\n")
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn text(&self) -> (u16, &str) {
        (self.status, &self.body)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(named, _)| named.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    pub(crate) fn value(&self) -> String {
        let value = self.json();
        let value = value["SecretString"].as_str();
        value.unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// A connection to the port or to a socket.
pub(crate) trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

/// Sends one request and reads its answer. None if the connection closed without one.
pub(crate) async fn exchange(stream: &mut (impl Both + ?Sized), request: &str) -> Option<Reply> {
    // the agent may close it during the write
    let _ = stream.write_all(request.as_bytes()).await;
    reply(stream, request.starts_with("HEAD")).await
}

pub(crate) async fn reply(stream: &mut (impl Both + ?Sized), is_head: bool) -> Option<Reply> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => read.extend_from_slice(&part[..length]),
        }
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let mut reply = Reply {
        status: head[9..12].parse().unwrap(),
        head,
        body: String::new(),
    };
    let length: usize = reply
        .header("content-length")
        .unwrap_or("0")
        .parse()
        .unwrap();
    let mut body = read.split_off(end + 4);
    while !is_head && body.len() < length {
        let mut part = [0; 4096];
        match stream.read(&mut part).await.unwrap() {
            0 => panic!("{reply:?} broke off"),
            length => body.extend_from_slice(&part[..length]),
        }
    }
    reply.body = String::from_utf8(body).unwrap();
    Some(reply)
}

/// Creates a secret, and returns its ARN.
pub(crate) async fn create(service: &SecretsManager, name: &str, text: &str) -> String {
    let input = json!({ "Name": name, "SecretString": text });
    let created = service.call("CreateSecret", input).await.unwrap();
    created["ARN"].as_str().unwrap().to_owned()
}

/// Makes another version current, and returns its id.
pub(crate) async fn put(service: &SecretsManager, secret: &str, text: &str) -> String {
    let input = json!({ "SecretId": secret, "SecretString": text });
    let put = service.call("PutSecretValue", input).await.unwrap();
    put["VersionId"].as_str().unwrap().to_owned()
}

impl World {
    pub(crate) async fn create(&self, name: &str, text: &str) -> String {
        create(&self.service, name, text).await
    }

    pub(crate) async fn put(&self, secret: &str, text: &str) -> String {
        put(&self.service, secret, text).await
    }

    /// How many requests have arrived.
    pub(crate) fn asked(&self) -> usize {
        self.service.calls().len()
    }

    /// Lets the next `times` reads fail with this error.
    pub(crate) fn fail(&self, status: u16, code: &str, times: usize) {
        let error = ServiceError {
            status,
            code: code.into(),
            message: "as it was told".into(),
        };
        self.inject(Behavior::Error(error), times);
    }

    pub(crate) fn inject(&self, behavior: Behavior, times: usize) {
        let fault = Fault::on("GetSecretValue", behavior).times(times);
        self.service.inject(fault);
    }
}

/// Repeats until there is an answer. It waits for a condition, not for a time.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
