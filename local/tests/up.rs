//! The command `local up`: what it prints, who can use it, and that it leaves nothing behind.

#![cfg(test)]

mod common;

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

const TOKEN: &str = "00000000-0000-4000-8000-000000000001";

struct Up {
    process: Child,
    ready: Value,
    scratch: Scratch,
}

/// Where one world keeps its temporary files, and its processes work: what is left behind is found there.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // as root, the server runs as another user
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn up(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command
            .args(["up", "--port", "0"])
            .args(arguments)
            .env("TMPDIR", self.0.path())
            .current_dir(self.0.path());
        command
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(self.0.path()).unwrap().next().is_none()
    }

    /// The processes that work in it, by Linux's account; elsewhere none is known.
    fn processes(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        all.map(|process| process.path())
            .filter(|process| {
                std::fs::read_link(process.join("cwd"))
                    .is_ok_and(|folder| folder.starts_with(self.0.path()))
            })
            .collect()
    }

    fn assert_nothing_is_left(&self) {
        wait_until("no process is left", || self.processes().is_empty());
        wait_until("no file is left", || self.is_empty());
    }
}

impl Up {
    fn start(arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        let mut process = scratch
            .up(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a line of JSON: {line:?}"));
        Self {
            process,
            ready,
            scratch,
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.ready.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    fn port(&self) -> u16 {
        self.ready["postgres"]["port"]
            .as_u64()
            .unwrap()
            .try_into()
            .unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    /// Runs a command with the credentials and the endpoint of this world.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .env("AWS_ENDPOINT_URL", self.text("/endpoint"))
            .env("AWS_DEFAULT_REGION", self.text("/region"))
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .output()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; `make test` installs it, or: pip install awscli boto3")
            })
    }

    fn aws(&self, arguments: &[&str]) -> Value {
        let output = self.run("aws", &[&["--output", "json"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "aws {arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn secret(&self, command: &str) -> Value {
        self.aws(&[
            "secretsmanager",
            command,
            "--secret-id",
            self.text("/secrets/single_user"),
        ])
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        let patient = started.elapsed() < Duration::from_secs(60);
        assert!(patient, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_prints_every_address_in_one_line_and_serves_until_it_is_stopped() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut up = Up::start(&[]);
        let function = "arn:aws:lambda:us-east-1:123456789012:function:secret-rotation";
        for (what, value) in [
            ("/region", "us-east-1"),
            ("/function_arn", function),
            ("/postgres/host", "localhost"),
            ("/postgres/dbname", "demo"),
            ("/secrets/admin", "demo/admin"),
            ("/secrets/single_user", "demo/orders/single"),
            ("/secrets/alternating_users", "demo/stock/alternating"),
            ("/secrets/api_key", "demo/mail/api-key"),
        ] {
            assert_eq!(up.text(what), value, "{what}");
        }
        let endpoint = up.text("/endpoint").strip_prefix("http://");
        TcpStream::connect(endpoint.unwrap()).unwrap();
        TcpStream::connect(("127.0.0.1", up.port())).unwrap();
        assert!(!up.scratch.is_empty());

        up.signal(signal);
        assert!(up.process.wait().unwrap().success(), "{signal}");
        let rest = std::io::read_to_string(up.process.stdout.take().unwrap()).unwrap();
        assert_eq!(rest, "", "nothing but the one line");
        assert!(up.scratch.is_empty(), "it is gone when the command is");
        up.scratch.assert_nothing_is_left();
    }
}

#[test]
fn a_killed_world_leaves_nothing_behind() {
    let mut up = Up::start(&[]);
    // a function's process too
    let invoke = ["lambda", "invoke", "--function-name", "secret-rotation"];
    up.aws(&[&invoke[..], &["/dev/null"]].concat());
    let processes = up.scratch.processes();
    up.signal(Signal::SIGKILL);
    up.process.wait().unwrap();
    up.scratch.assert_nothing_is_left();
    // the command, two guards, the server and its processes, the function
    let all = processes.len() > 5 || cfg!(not(target_os = "linux"));
    assert!(all, "{processes:?}");
}

#[test]
fn a_world_that_is_killed_or_stopped_while_its_cluster_is_made_leaves_nothing_behind() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let scratch = Scratch::new();
        let mut up = scratch
            .up(&["--function", "/bin/true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // initdb's first act
        wait_until("initdb is at work", || {
            let folders = std::fs::read_dir(scratch.0.path()).unwrap().flatten();
            folders
                .map(|folder| folder.path().join("data/PG_VERSION"))
                .any(|file| file.exists())
        });
        kill(Pid::from_raw(up.id().try_into().unwrap()), signal).unwrap();
        let status = up.wait().unwrap();
        assert_eq!(status.success(), signal == Signal::SIGTERM, "{signal}");
        scratch.assert_nothing_is_left();
    }
}

#[test]
fn the_stock_aws_cli_rotates_the_demo_secret() {
    let up = Up::start(&[]);
    let before = up.secret("get-secret-value");
    let rotation = up.secret("rotate-secret");
    let described = |what: &str| up.secret("describe-secret").get(what).is_some();
    wait_until("the rotation has ended", || described("LastRotatedDate"));
    let after = up.secret("get-secret-value");
    assert_eq!(after["VersionId"], rotation["VersionId"]);
    assert_ne!(after["SecretString"], before["SecretString"]);
    assert!(described("NextRotationDate"));
}

#[test]
fn rotation_behaviour_that_aws_does_not_promise_is_an_option() {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let function = format!("echo called >>{}", calls.display());
    let function = common::script(&folder, "function", &function);
    let up = Up::start(&[
        "--function",
        function.to_str().unwrap(),
        "--attempts",
        "5",
        "--retry-interval",
        "1ms",
    ]);
    up.secret("rotate-secret");
    wait_until("five attempts were made", || {
        std::fs::read_to_string(&calls).is_ok_and(|calls| calls.lines().count() == 5)
    });

    let up = Up::start(&["--promotion", "drops-pending", "--cold-starts"]);
    let rotation = up.secret("rotate-secret");
    wait_until("the rotation has ended", || {
        up.secret("describe-secret")
            .get("LastRotatedDate")
            .is_some()
    });
    let labels = &up.secret("describe-secret")["VersionIdsToStages"];
    let version = rotation["VersionId"].as_str().unwrap();
    assert_eq!(labels[version], serde_json::json!(["AWSCURRENT"]));
    let functions = up.scratch.processes().into_iter();
    let functions = functions
        .filter_map(|process| std::fs::read_link(process.join("exe")).ok())
        .filter(|program| program.ends_with("secret-rotation"));
    assert_eq!(functions.count(), 0, "no process outlives its step");
}

#[test]
fn boto3_rotates_the_demo_secret() {
    let up = Up::start(&[]);
    let script = "
import boto3, sys, time
service = boto3.client('secretsmanager')
token = service.rotate_secret(SecretId=sys.argv[1])['VersionId']
while 'LastRotatedDate' not in service.describe_secret(SecretId=sys.argv[1]): time.sleep(0.02)
assert service.get_secret_value(SecretId=sys.argv[1])['VersionId'] == token
answer = boto3.client('lambda').invoke(FunctionName='secret-rotation', Payload=b'{}')
assert answer['FunctionError'] == 'Unhandled', answer
print(answer['Payload'].read().decode())
";
    let output = up.run("python3", &["-c", script, up.text("/secrets/single_user")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("EventFieldMissing"));
}

#[test]
fn the_schedule_lists_due_rotations_and_begins_them_when_the_clock_moves() {
    let up = Up::start(&[]);
    let schedule = |arguments: &[&str]| {
        let local = env!("CARGO_BIN_EXE_local");
        let output = up.run(local, &[&["schedule"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let table = schedule(&[]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("the clock is at 20"), "{table}");
    assert_eq!(lines[1], "AT (UTC)          IN       EVENT     SECRET");
    assert!(lines[2].contains(" 00:00  "), "{table}");
    assert!(table.contains("rotation  demo/orders/single\n"), "{table}");
    assert!(lines.iter().all(|line| line.len() <= 80), "{table}");

    let moved = schedule(&["--advance", "31d"]);
    for name in ["single_user", "alternating_users", "api_key"] {
        let begun = format!("begun: {}\n", up.text(&format!("/secrets/{name}")));
        assert!(moved.contains(&begun), "{moved}");
    }
    wait_until("the rotation has ended", || {
        up.secret("describe-secret")
            .get("LastRotatedDate")
            .is_some()
    });
    let lines = schedule(&["--json"]);
    let due: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(due["event"], "rotation");
}

#[test]
fn without_a_world_the_schedule_says_how_to_start_one() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    let output = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["schedule", "--endpoint", &endpoint])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    for words in [&*endpoint, "refused", "local up", "--endpoint-url"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn with_a_staged_token_the_repositorys_events_invoke_the_four_steps_by_hand() {
    let up = Up::start(&["--stage", TOKEN]);
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let answers = tempfile::tempdir().unwrap();
    for (step, outcome) in [
        ("createSecret", "created"),
        ("setSecret", "changed"),
        ("testSecret", "logged in"),
        ("finishSecret", "promoted"),
    ] {
        let payload = format!("fileb://{}/{step}.json", events.display());
        let answer = answers.path().join(step);
        let function = ["--function-name", up.text("/function_arn")];
        let rest = ["--payload", &payload, answer.to_str().unwrap()];
        up.aws(&[&["lambda", "invoke"], &function[..], &rest].concat());
        let answer: Value = serde_json::from_slice(&std::fs::read(answer).unwrap()).unwrap();
        assert_eq!(answer["outcome"], outcome, "{answer}");
    }
    assert_eq!(up.secret("get-secret-value")["VersionId"], TOKEN);
}

#[test]
fn a_port_in_use_is_reported_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["up", "--function", "/bin/true", "--port", &port])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn without_postgresql_the_error_says_how_to_install_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["up", "--function", "/bin/true", "--port", "0"])
        .env("POSTGRES_BIN", "/nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("apt-get install postgresql"), "{said}");
}
