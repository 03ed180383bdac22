//! The command `rotatectl doctor`: what it finds in a world that somebody broke, and that what it prints mends it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod api_key;
mod cures;
mod healthy;
mod reach;
mod repair;
mod rights;
mod service;

use std::{
    collections::BTreeMap,
    env,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use local::{
    executable,
    world::{Options, REGION, World},
};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use uuid::Uuid;

/// Options for a world around the function of this workspace.
fn options() -> Options {
    Options::new(executable::of_tests("--bin", "secret-rotation").unwrap())
}

/// A world whose secrets have the tags that a well-kept secret has.
async fn world(options: Options) -> World {
    let world = World::start(options).await.unwrap();
    for secret in [world.single_user(), world.alternating_users()] {
        let tags = json!([
            { "Key": "team", "Value": "shop" }, { "Key": "rotating-secret:ttl", "Value": "5m" },
        ]);
        call(
            &world,
            "TagResource",
            json!({ "SecretId": secret, "Tags": tags }),
        )
        .await;
    }
    world
}

async fn call(world: &World, operation: &str, input: Value) -> Value {
    world
        .secrets_manager()
        .call(operation, input)
        .await
        .unwrap()
}

/// What a command said and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A line that doctor prints to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Shell(String),
    Psql(String),
}

impl Said {
    /// The verdict of each check.
    fn verdicts(&self) -> BTreeMap<&str, &str> {
        let lines = self.stdout.lines().filter(|line| !line.starts_with(' '));
        lines
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let verdict = words.next()?;
                Some((words.next()?, verdict))
            })
            .collect()
    }

    /// The checks with this verdict, in their order.
    fn checks(&self, verdict: &str) -> Vec<&str> {
        let lines = self.stdout.lines().filter(|line| !line.starts_with(' '));
        lines
            .filter_map(|line| line.strip_prefix(verdict)?.split_whitespace().next())
            .collect()
    }

    /// The lines below a check: advice, and commands.
    fn below(&self, check: &str) -> Vec<&str> {
        let mut lines = self.stdout.lines();
        let found = lines.any(|line| line.split_whitespace().nth(1) == Some(check));
        assert!(found, "no check {check}: {self:?}");
        lines
            .take_while(|line| line.starts_with(' '))
            .map(str::trim)
            .collect()
    }

    /// What is to be run for a check, as it stands.
    fn commands(&self, check: &str) -> Vec<Line> {
        let below = self.below(check);
        let commands = below.into_iter().filter_map(|line| {
            let shell = line
                .strip_prefix("$ ")
                .map(|line| Line::Shell(line.to_owned()));
            shell.or_else(|| Some(Line::Psql(line.strip_prefix("=# ")?.to_owned())))
        });
        commands.collect()
    }

    fn assert_ok(&self) {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.checks("wrong"), [""; 0], "{}", self.stdout);
    }

    fn assert_wrong(&self, check: &str, what: &str) {
        assert_eq!(self.code, Some(2), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(
            self.verdicts().get(check),
            Some(&"wrong"),
            "{}",
            self.stdout
        );
        let line = self
            .stdout
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(check));
        assert!(line.unwrap().contains(what), "{what}: {}", self.stdout);
    }
}

/// Runs doctor, and holds whatever it prints against every password that there is.
async fn doctor(world: &World, arguments: &[&str], stdin: &str) -> Said {
    let mut secret = passwords(world).await;
    let said = run(
        world,
        Command::new(env!("CARGO_BIN_EXE_rotatectl"))
            .arg("doctor")
            .args(arguments),
        stdin,
    );
    secret.extend(passwords(world).await); // repairs store others
    secret.extend(
        stdin
            .lines()
            .filter(|line| line.len() > 3)
            .map(str::to_owned),
    );
    for password in secret {
        assert!(!said.stdout.contains(&password) && !said.stderr.contains(&password));
    }
    assert!(
        !said.stdout.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
    said
}

/// Asks until a check comes to this verdict, for a server that reloads its settings when it gets around to it.
async fn until(world: &World, secret: &str, check: &str, verdict: &str) -> Said {
    let started = Instant::now();
    loop {
        let said = doctor(world, &[secret], "").await;
        if said.verdicts()[check] == verdict {
            return said;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{}",
            said.stdout
        );
    }
}

/// Every password in a version that has a label, and the superuser's.
async fn passwords(world: &World) -> Vec<String> {
    use secrecy::ExposeSecret;
    let mut passwords = vec![
        world
            .postgres()
            .superuser_password()
            .expose_secret()
            .to_owned(),
    ];
    for secret in [
        world.admin(),
        world.single_user(),
        world.alternating_users(),
    ] {
        for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
            let input = json!({ "SecretId": secret, "VersionStage": label });
            let Ok(value) = world.secrets_manager().call("GetSecretValue", input).await else {
                continue;
            };
            let document: Value =
                serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap();
            passwords.extend(document["password"].as_str().map(str::to_owned));
        }
    }
    if let Some(service) = world.key_service() {
        passwords.push(service.master()["key"].as_str().unwrap().to_owned());
        passwords.extend(service.secrets());
    }
    passwords
}

fn run(world: &World, command: &mut Command, stdin: &str) -> Said {
    let programs = Path::new(env!("CARGO_BIN_EXE_rotatectl")).parent().unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(
        [programs.to_owned()]
            .into_iter()
            .chain(env::split_paths(&path)),
    );
    let process = command
        .env("PATH", path.unwrap())
        .env("AWS_ENDPOINT_URL", world.endpoint())
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env_remove("AWS_PROFILE")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if process.get_envs().all(|(name, _)| name != "TLS_CA_FILE") {
        process.env("TLS_CA_FILE", world.ca_file());
    }
    let output = block_in_place(|| {
        let mut process = process.spawn().unwrap();
        // it may end before it reads
        let _ = process.stdin.take().unwrap().write_all(stdin.as_bytes());
        process.wait_with_output().unwrap()
    });
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Does what a line says, in a shell or in psql as a superuser, and types this when it is asked.
async fn follow(world: &World, line: &Line, typed: &str) -> Said {
    let said = match line {
        Line::Shell(line) => run(world, Command::new("sh").args(["-c", line]), typed),
        Line::Psql(line) => psql(world, line, typed),
    };
    assert_eq!(said.code, Some(0), "{line:?}: {said:?}");
    said
}

fn psql(world: &World, line: &str, typed: &str) -> Said {
    use secrecy::ExposeSecret;
    let postgres = world.postgres();
    let port = postgres.port().to_string();
    let server = [
        "--host",
        postgres.host(),
        "--port",
        &port,
        "--username",
        "postgres",
    ];
    // without a terminal: psql asks for passwords there if there is one
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("setsid");
        command.arg("psql");
        command
    } else {
        Command::new("psql")
    };
    command
        .args(["--no-psqlrc", "--set", "ON_ERROR_STOP=1"])
        .args(server);
    command.args(["--dbname", "postgres", "--command", line]);
    command.env("PGPASSWORD", postgres.superuser_password().expose_secret());
    command.env("PGSSLMODE", "disable");
    run(world, &mut command, typed)
}

/// Follows a line that begins a rotation, and waits for its end.
async fn follow_rotation(world: &World, secret: &str, line: &Line) {
    let said = follow(world, line, "").await;
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    let token = answer["VersionId"].as_str().unwrap();
    let rotation = world.secrets_manager().rotation(secret, token).await;
    assert!(rotation.succeeded, "{rotation:?}");
}

/// All is well, by doctor and by a rotation.
async fn assert_mended(world: &World, secret: &str) {
    doctor(world, &[secret], "").await.assert_ok();
    let rotation = world.secrets_manager().rotate(secret).await.unwrap();
    assert!(rotation.succeeded, "{rotation:?}");
    doctor(world, &[secret], "").await.assert_ok();
}

/// The document of the version with this label.
async fn document(world: &World, secret: &str, label: &str) -> Value {
    let value = call(
        world,
        "GetSecretValue",
        json!({ "SecretId": secret, "VersionStage": label }),
    )
    .await;
    serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap()
}

/// Stores AWSCURRENT with one field replaced.
async fn store(world: &World, secret: &str, field: &str, value: Value) {
    let mut document = document(world, secret, "AWSCURRENT").await;
    document[field] = value;
    let input = json!({ "SecretId": secret, "SecretString": document.to_string() });
    call(world, "PutSecretValue", input).await;
}

/// Begins a rotation as RotateSecret does, runs so many of its steps, and leaves it there for a long time.
async fn leave_over(world: &World, secret: &str, steps: usize) -> String {
    let token = Uuid::new_v4().to_string();
    let service = world.secrets_manager();
    service.stage(secret, &token).unwrap();
    let arn = service.arn(secret).unwrap();
    for step in ["createSecret", "setSecret", "testSecret"]
        .iter()
        .take(steps)
    {
        let event = json!({ "Step": step, "SecretId": arn, "ClientRequestToken": token });
        world.function().invoke(event).await.outcome.unwrap();
    }
    service.age(secret, 1).unwrap();
    token
}

/// The administrator's role.
fn administrator(world: &World) -> String {
    format!("admin_of_{}", world.role())
}

async fn execute(world: &World, sql: &str) {
    world.postgres().execute(sql).await.unwrap();
}
