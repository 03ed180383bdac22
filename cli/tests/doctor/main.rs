//! The command `rotatectl doctor`: it finds faults in a broken world, and its printed commands repair them.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod api_key;
mod cures;
mod healthy;
mod reach;
mod repair;
mod rights;
mod roles;
mod service;

use std::{collections::BTreeMap, process::Command, time::Duration};

use common::{
    administrator, call, document, execute, inject_error, options, options_where, options_with,
    rotated,
};
use local::{
    postgres::{Postgres, Settings},
    secrets_manager::labels::Promotion,
    world::{Options, World},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

/// A world whose secrets have the tags that a well-kept secret has.
async fn world(options: Options) -> World {
    let world = common::start(options).await;
    let mut secrets = vec![world.single_user(), world.alternating_users()];
    secrets.extend(world.key_service().map(|_| world.api_key()));
    for secret in secrets {
        for (key, value) in [("team", "shop"), ("rotating-secret:ttl", "5m")] {
            common::tag(&world, secret, key, value).await;
        }
    }
    world
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

    /// The commands that doctor prints for a check, one per line.
    #[track_caller]
    fn cure<const LINES: usize>(&self, check: &str) -> [Line; LINES] {
        let commands = self.commands(check).try_into();
        commands.unwrap_or_else(|commands| panic!("{commands:?}: {self:?}"))
    }

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

    #[track_caller]
    fn assert_ok(&self) {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.checks("wrong"), [""; 0], "{}", self.stdout);
    }

    /// No check is wrong, and exactly these checks warn.
    #[track_caller]
    fn assert_warns(&self, checks: &[&str]) {
        self.assert_ok();
        assert_eq!(self.checks("warning"), checks, "{}", self.stdout);
    }

    /// Nothing is known to be wrong, and something is not known.
    fn assert_unknown(&self) {
        assert_eq!(self.code, Some(3), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.checks("wrong"), [""; 0], "{}", self.stdout);
    }

    #[track_caller]
    fn assert_wrong(&self, check: &str, what: &str) {
        assert_eq!(self.code, Some(2), "{}\n{}", self.stdout, self.stderr);
        assert!(self.checks("wrong").contains(&check), "{}", self.stdout);
        let mut lines = self.stdout.lines();
        let line = lines.find(|line| line.split_whitespace().nth(1) == Some(check));
        assert!(line.unwrap().contains(what), "{what}: {}", self.stdout);
    }

    /// Nothing else is wrong.
    #[track_caller]
    fn assert_only_wrong(&self, check: &str, what: &str) {
        self.assert_wrong(check, what);
        assert_eq!(self.checks("wrong"), [check], "{}", self.stdout);
    }
}

/// Runs doctor, and checks that its output contains no password.
async fn doctor(world: &World, arguments: &[&str], typed: &str) -> Said {
    let mut secrets = passwords(world).await;
    let arguments = [&["doctor"], arguments].concat();
    let said = run(common::command(world, &arguments), typed).await;
    secrets.extend(passwords(world).await); // repairs store others
    let typed = typed.lines().filter(|line| line.len() > 3);
    secrets.extend(typed.map(str::to_owned));
    for secret in secrets {
        assert!(!said.stdout.contains(&secret) && !said.stderr.contains(&secret));
    }
    let coloured = said.stdout.contains('\u{1b}');
    assert!(!coloured, "no colours where there is no terminal");
    said
}

/// Asks until a check comes to this verdict, for a server that reloads its settings when it gets around to it.
async fn until(world: &World, secret: &str, check: &str, verdict: &str) -> Said {
    let asked = async {
        loop {
            let said = doctor(world, &[secret], "").await;
            if said.verdicts()[check] == verdict {
                return said;
            }
        }
    };
    let said = timeout(Duration::from_secs(60), asked).await;
    said.unwrap_or_else(|_| panic!("{check} is not {verdict} within a minute"))
}

/// Every password in a version that has a label, and the superuser's.
async fn passwords(world: &World) -> Vec<String> {
    let superuser = world.postgres().superuser_password().expose_secret();
    let mut passwords = vec![superuser.to_owned()];
    for secret in [
        world.admin(),
        world.single_user(),
        world.alternating_users(),
    ] {
        passwords.extend(common::passwords(world, secret).await);
    }
    if let Some(service) = world.key_service() {
        passwords.push(service.master()["key"].as_str().unwrap().to_owned());
        passwords.extend(service.secrets());
    }
    passwords
}

async fn run(command: Command, typed: &str) -> Said {
    let ran = common::run_and_type(command, typed).await;
    let output = ran.get_output().clone();
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a program with all that rotatectl knows of this world.
async fn run_program(world: &World, program: &str, arguments: &[&str], typed: &str) -> Said {
    let mut command = Command::new(program);
    common::within(&mut command, world.endpoint())
        .env("TLS_CA_FILE", world.ca_file())
        .args(arguments);
    run(command, typed).await
}

/// Does what a line says, in a shell or in psql as a superuser, and types this when it is asked.
async fn follow(world: &World, line: &Line, typed: &str) -> Said {
    let said = match line {
        Line::Shell(line) => run_program(world, "sh", &["-c", line], typed).await,
        Line::Psql(line) => psql(world, line, typed).await,
    };
    assert_eq!(said.code, Some(0), "{line:?}: {said:?}");
    said
}

async fn psql(world: &World, line: &str, typed: &str) -> Said {
    let postgres = world.postgres();
    // without a terminal: psql asks for passwords there if there is one
    let mut command = match cfg!(target_os = "linux") {
        true => Command::new("setsid"),
        false => Command::new("env"),
    };
    command
        .args(["psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1"])
        .args(["--host", postgres.host()])
        .args(["--port", &postgres.port().to_string()])
        .args(["--username", Postgres::SUPERUSER, "--dbname", "postgres"])
        .args(["--command", line])
        .env("PGPASSWORD", postgres.superuser_password().expose_secret())
        .env("PGSSLMODE", "disable");
    run(command, typed).await
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
    rotated(world, secret).await;
    doctor(world, &[secret], "").await.assert_ok();
}

/// Stores AWSCURRENT with one field replaced.
async fn store(world: &World, secret: &str, field: &str, value: Value) {
    let mut document = document(world, secret, "AWSCURRENT").await;
    document[field] = value;
    common::put(world, secret, &document).await;
}

/// Begins a rotation as RotateSecret does, runs so many of its steps, and leaves it there for a long time.
async fn leave_over(world: &World, secret: &str, steps: usize) -> String {
    let token = common::leave_over(world, secret, steps).await;
    world.secrets_manager().age(secret, 1).unwrap();
    token
}
