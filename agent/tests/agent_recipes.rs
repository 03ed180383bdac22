//! Runs the recipes of docs/agent.md unchanged through ten rotations: pools that ask the agent at each login.

#![cfg(test)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use common::{
    TOKEN,
    rotating::Rotating,
    skipped,
    tools::{node_path, tool},
    until,
};
use local::{
    secrets_manager::{Behavior, Fault, Hang, When},
    world::World,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// A program that sends requests through a recipe. Its pool has one connection.
struct Driver {
    child: Child,
    said: Receiver<String>,
}

impl Driver {
    /// Starts it with the agent as Secrets Manager's endpoint.
    fn start(command: &mut Command, rotating: &Rotating) -> Self {
        let ca = rotating.world.ca_file();
        let endpoint = format!("http://127.0.0.1:{}", rotating.agent.port);
        let mut child = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PYTHONPATH", Path::new(FOLDER).join("recipes"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NODE_PATH", node_path())
            // the SDK warns of this version of node
            .env("NODE_NO_WARNINGS", "1")
            .env("PGSSLROOTCERT", ca)
            .env("NODE_EXTRA_CA_CERTS", ca)
            .env("AGENT", &endpoint)
            .env("AWS_TOKEN", TOKEN)
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint)
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAAPPLICATION")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_SESSION_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, said) = channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
        Self { child, said }
    }

    /// Waits until it has logged in as this user, or has ended.
    async fn logs_in_as(&self, user: &str) {
        while self.next_login().await != user {}
    }

    /// Waits for a login with another user or password.
    async fn next_login(&self) -> String {
        until(async || match self.said.try_recv() {
            Ok(said) => Some(said),
            Err(std::sync::mpsc::TryRecvError::Empty) => None,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => panic!("it has ended, see above"),
        })
        .await
    }

    /// Returns its last line.
    async fn end(mut self) -> String {
        drop(self.child.stdin.take());
        until(async || self.child.try_wait().unwrap()).await;
        self.said.iter().last().unwrap()
    }
}

/// Each rotation changes the password of the previous user. By then the only connection belongs to the new user.
async fn loses_no_request_in_ten_rotations(mut command: Command, rotating: Rotating) {
    let driver = Driver::start(&mut command, &rotating);
    for _ in 0..10 {
        let user = rotating.current().await["username"].clone();
        driver.logs_in_as(user.as_str().unwrap()).await;
        rotating.rotate().await;
        rotating.follows().await;
    }
    let said = driver.end().await;
    assert!(said.starts_with("0 of "), "{said}");
    println!("{said}");
}

/// New connections are made all the time, and the agent has been killed.
async fn loses_no_request_while_the_agent_is_away(mut command: Command, rotating: Rotating) {
    let driver = Driver::start(&mut command, &rotating);
    let user = rotating.current().await["username"].clone();
    let user = user.as_str().unwrap();
    driver.logs_in_as(user).await;
    kill(Pid::from_raw(rotating.agent.pid()), Signal::SIGKILL).unwrap();
    let logins = || rotating.world.postgres().logins(user).unwrap().accepted;
    let before = logins();
    until(async || (logins() > before + 3).then_some(())).await;
    let said = driver.end().await;
    assert!(said.starts_with("0 of "), "{said}");
}

fn python(recipe: &str, rotating: &Rotating) -> Command {
    let mut command = Command::new(tool("python3"));
    let driver = Path::new(FOLDER).join("tests/drivers/drive.py");
    command.arg(driver).arg(recipe).arg(&rotating.secret);
    command
}

fn has_python() -> bool {
    let has = Command::new(tool("python3"))
        .args(["-c", "import boto3, psycopg_pool, sqlalchemy"])
        .stderr(Stdio::null())
        .status();
    let has = has.is_ok_and(|has| has.success());
    if !has {
        skipped(
            "recipes in Python: python3 has no psycopg_pool and SQLAlchemy; make test installs them",
        );
    }
    has
}

async fn pool_while_the_agent_is_away(recipe: &str) {
    if has_python() {
        let rotating = Rotating::start(World::alternating_users).await;
        loses_no_request_while_the_agent_is_away(python(recipe, &rotating), rotating).await;
    }
}

async fn pool(recipe: &str) {
    if has_python() {
        let rotating = Rotating::start(World::alternating_users).await;
        loses_no_request_in_ten_rotations(python(recipe, &rotating), rotating).await;
    }
}

/// Each rotation stops between setSecret and finishSecret until the program has logged in with the password that is pending.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reports_rejections_fails_no_login_in_ten_rotations_of_a_single_user() {
    if !has_python() {
        return;
    }
    let rotating = Rotating::start(World::single_user).await;
    let driver = Driver::start(&mut python("login_after_rejection", &rotating), &rotating);
    driver.next_login().await;
    for _ in 0..10 {
        let hang = Hang::default();
        let before_finish = Behavior::Hang(When::BeforeEffect, hang.clone());
        let fault = Fault::on("UpdateSecretVersionStage", before_finish);
        rotating.world.secrets_manager().inject(fault);
        let logs_in = async {
            hang.reached().await;
            driver.next_login().await;
            hang.release();
        };
        tokio::join!(rotating.rotate(), logs_in);
    }
    let said = driver.end().await;
    assert!(said.starts_with("0 of "), "{said}");
    println!("single user, with rejected: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_psycopg_loses_no_request_in_ten_rotations_of_alternating_users() {
    pool("pool_of_psycopg").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_psycopg_loses_no_request_while_the_agent_is_away() {
    pool_while_the_agent_is_away("pool_of_psycopg").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_of_sqlalchemy_loses_no_request_in_ten_rotations_of_alternating_users() {
    pool("engine_of_sqlalchemy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_of_sqlalchemy_loses_no_request_while_the_agent_is_away() {
    pool_while_the_agent_is_away("engine_of_sqlalchemy").await;
}

async fn node() -> Option<(Command, Rotating)> {
    let has = Command::new("node")
        .args([
            "-e",
            "require('pg'); require('@aws-sdk/client-secrets-manager')",
        ])
        .env("NODE_PATH", node_path())
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|has| has.success()) {
        skipped(
            "the recipe for node-postgres: node has no pg; make test installs it where npm is there",
        );
        return None;
    }
    let rotating = Rotating::start(World::alternating_users).await;
    let mut command = Command::new("node");
    let driver = Path::new(FOLDER).join("tests/drivers/drive.js");
    let recipe = Path::new(FOLDER).join("recipes/pool_of_node_postgres.js");
    command.arg(driver).arg(recipe).arg(&rotating.secret);
    Some((command, rotating))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_node_postgres_loses_no_request_in_ten_rotations_of_alternating_users() {
    if let Some((command, rotating)) = node().await {
        loses_no_request_in_ten_rotations(command, rotating).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_node_postgres_loses_no_request_while_the_agent_is_away() {
    if let Some((command, rotating)) = node().await {
        loses_no_request_while_the_agent_is_away(command, rotating).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_node_postgres_does_not_show_a_secret_that_is_no_json() {
    let Some((_, rotating)) = node().await else {
        return;
    };
    let service = rotating.world.secrets_manager();
    common::create(service, "no/json", "hunter2").await;
    let mut command = Command::new("node");
    let text = "require(process.argv[1]).pool('no/json').query('SELECT 1').catch((error) => console.log(String(error)))";
    let recipe = Path::new(FOLDER).join("recipes/pool_of_node_postgres.js");
    command.arg("-e").arg(text).arg(recipe);
    let said = Driver::start(&mut command, &rotating).end().await;
    assert!(
        said.contains("no/json is no JSON") && !said.contains("hunter2"),
        "{said}"
    );
}

/// Debian's folder of Java's packages.
const JARS: &str = "/usr/share/java";

/// Compiles the classes, and returns the class path. None if Java or a package is missing.
fn compiled(to: &Path) -> Option<String> {
    let jars =
        ["HikariCP.jar", "postgresql.jar", "slf4j-api.jar"].map(|jar| Path::new(JARS).join(jar));
    if !jars.iter().all(|jar| jar.exists()) {
        return None;
    }
    let path = jars.map(|jar| jar.display().to_string()).join(":");
    let sources = [
        "recipes/FollowingDataSource.java",
        "tests/drivers/Drive.java",
    ];
    let compiled = Command::new("javac")
        .args(["-cp", &path, "-d"])
        .arg(to)
        .args(sources.map(|source| Path::new(FOLDER).join(source)))
        .status();
    // bad source is a failure; a missing compiler is not
    assert!(compiled.as_ref().ok()?.success());
    Some(format!("{}:{path}", to.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_hikaricp_loses_no_request_in_ten_rotations_of_alternating_users() {
    let classes = TempDir::new().unwrap();
    let Some(path) = compiled(classes.path()) else {
        skipped(
            "the recipe for JDBC: apt-get install default-jdk libhikaricp-java libpostgresql-jdbc-java",
        );
        return;
    };
    let mut folder = PathBuf::new();
    let plain = |world: &World, beside: &Path| {
        folder = beside.join("jdbc");
        format!(
            "[[files]]\nsecret = \"{}\"\ndirectory = \"{}\"\n\
             write = [{{ format = \"plain\", name = \"username\", key = \"username\" }}, {{ format = \"plain\", name = \"password\", key = \"password\" }}]\n",
            world.alternating_users(),
            folder.display()
        )
    };
    let rotating = Rotating::start_behind(World::alternating_users, plain, "").await;
    let server = rotating.world.postgres();
    let document = rotating.current().await;
    let url = format!(
        "jdbc:postgresql://{}:{}/{}?sslmode=verify-full&sslrootcert={}",
        server.host(),
        server.port(),
        document["dbname"].as_str().unwrap(),
        rotating.world.ca_file().display()
    );
    // its table is before the service file's, so it is written first
    assert!(fs::exists(folder.join("current/password")).unwrap());
    let mut command = Command::new("java");
    command.args(["-cp", &path, "Drive", &url]).arg(&folder);
    loses_no_request_in_ten_rotations(command, rotating).await;
}
