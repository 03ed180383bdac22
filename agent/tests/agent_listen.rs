//! `[[listen]]`: the database announces a rotation. The lifetime here is an hour, so nothing else finds the new version in time.

#![cfg(test)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use common::{
    Agent, TOKEN, command, create,
    folder::{Place, SHORT},
    secrets_manager, until,
    watch::Events,
};
use local::{
    executable,
    postgres::Postgres,
    world::{Options, World},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const LONG: &str = "[capabilities.secrets_manager.cache]\nttl_seconds = 3600";

struct Rotating {
    world: World,
    folder: TempDir,
}

impl Rotating {
    async fn new() -> Self {
        let function = executable::of_tests("--bin", "secret-rotation").unwrap();
        Self {
            world: World::start(Options::new(function)).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The table, and one of files.
    fn tables(&self) -> String {
        let (secret, ca) = (self.world.alternating_users(), self.world.ca_file());
        format!(
            "[[listen]]\nsecret = \"{secret}\"\nca_file = \"{}\"\n\
             [[files]]\nsecret = \"{secret}\"\ndirectory = \"{}\"\nwrite = [{{ format = \"plain\", key = \"username\" }}]",
            ca.display(),
            self.path("out").display()
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// How many sessions listen.
    async fn sessions(&self) -> i64 {
        let client = self.world.postgres().superuser_client().await.unwrap();
        let question =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = $1";
        let row = client.query_one(question, &[&self.world.dbname()]).await;
        row.unwrap().get(0)
    }

    async fn listens(&self) {
        until(async || (self.sessions().await == 1).then_some(())).await;
    }

    /// Rotates, and returns the new version's id and user.
    async fn rotate(&self) -> (String, String) {
        let service = self.world.secrets_manager();
        let secret = self.world.alternating_users();
        service.rotate(secret).await.unwrap();
        let read = service.call("GetSecretValue", json!({ "SecretId": secret }));
        let read = read.await.unwrap();
        let document = user_of(read["SecretString"].as_str().unwrap());
        (read["VersionId"].as_str().unwrap().to_owned(), document)
    }
}

fn user_of(document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap();
    document["username"].as_str().unwrap().to_owned()
}

/// Waits until the file has this text.
async fn holds(path: &Path, text: &str) {
    until(async || (fs::read_to_string(path).ok()? == text).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_both_protocols_files_and_changes_follow_a_notification_over_one_connection() {
    let rotating = Rotating::new().await;
    let agent = Agent::start(rotating.world.endpoint(), LONG, &rotating.tables());
    let secret = rotating.world.alternating_users();
    // another spelling than the table's
    let arn = agent.read(secret).await.json()["ARN"].clone();
    let arn = arn.as_str().unwrap();
    let mut by_name = Events::open(&agent, secret).await;
    let mut by_arn = Events::open(&agent, arn).await;
    for events in [&mut by_name, &mut by_arn] {
        events.version().await;
    }
    for _ in 0..3 {
        rotating.listens().await;
        let (version, user) = rotating.rotate().await;
        let rotated = std::time::Instant::now();
        assert_eq!(by_name.version().await, version);
        println!("{:?} after the rotation", rotated.elapsed());
        assert_eq!(by_arn.version().await, version);
        holds(&rotating.path("out/current/secret"), &user).await;
        let read = agent.read(arn).await;
        assert_eq!(user_of(&read.value()), user);
        let by_sdk = agent
            .call("GetSecretValue", json!({ "SecretId": secret }))
            .await;
        assert_eq!(user_of(&by_sdk.value()), user);
    }
    rotating.listens().await;
}

/// `exec` with a child that appends its user to a file.
struct Exec(Child);

impl Drop for Exec {
    fn drop(&mut self) {
        // SIGTERM ends its child too
        let _ = kill(
            Pid::from_raw(self.0.id().try_into().unwrap()),
            Signal::SIGTERM,
        );
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_exec_restarts_after_a_notification() {
    let rotating = Rotating::new().await;
    let (awss, own, out) = (
        rotating.path("awss.toml"),
        rotating.path("own.toml"),
        rotating.path("user"),
    );
    fs::write(&awss, format!("[capabilities.secrets_manager]\n{LONG}")).unwrap();
    let endpoint = rotating.world.endpoint();
    fs::write(
        &own,
        format!("endpoint = \"{endpoint}\"\n{}", rotating.tables()),
    )
    .unwrap();
    let script = format!(
        "printf %s \"$PGUSER\" > {0}.new; mv {0}.new {0}; exec sleep 3600",
        out.display()
    );
    let child = command()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .args([
            "exec",
            "--secret",
            rotating.world.alternating_users(),
            "--config",
        ])
        .arg(&awss)
        .arg("--settings")
        .arg(&own)
        .args(["--", "sh", "-c", &script])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _exec = Exec(child);
    until(async || out.exists().then_some(())).await;
    for _ in 0..2 {
        rotating.listens().await;
        let (_, user) = rotating.rotate().await;
        holds(&out, &user).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_lambda_no_session_listens_and_a_warning_says_so() {
    let rotating = Rotating::new().await;
    for variable in ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_RUNTIME_API"] {
        let own = rotating.tables();
        let mut agent = Agent::start_with(rotating.world.endpoint(), LONG, &own, |command| {
            command.env("AWS_TOKEN", TOKEN).env(variable, "any");
        });
        let read = agent.read(rotating.world.alternating_users()).await;
        holds(
            &rotating.path("out/current/secret"),
            &user_of(&read.value()),
        )
        .await;
        assert_eq!(rotating.sessions().await, 0);
        let log = agent.whole_log();
        assert!(log.contains("[[listen]] has no effect in Lambda"), "{log}");
    }
}

#[tokio::test]
async fn in_lambda_no_announced_secret_is_read_before_someone_asks() {
    let (service, endpoint) = secrets_manager().await;
    for name in ["orders/db", "stock/db"] {
        create(&service, name, "one").await;
    }
    let agent = Agent::start_with(
        &endpoint,
        SHORT,
        "[[listen]]\nsecret = \"orders/db\"",
        |command| {
            command
                .env("AWS_TOKEN", TOKEN)
                .env("AWS_LAMBDA_RUNTIME_API", "any");
        },
    );
    agent.read("stock/db").await;
    // renewals of the other one
    until(async || (service.calls().len() >= 4).then_some(())).await;
    for call in service.calls() {
        assert_eq!(call.secret.as_deref(), Some("stock/db"));
    }
}

#[tokio::test]
async fn a_server_that_rejects_the_listener_makes_no_reader_get_awspending() {
    let (service, endpoint) = secrets_manager().await;
    let server = Postgres::shared().await.unwrap();
    let create_role = "CREATE ROLE unheard LOGIN PASSWORD 'another'";
    server.execute(create_role).await.unwrap();
    let document = |password: &str| {
        let (host, port) = (server.host(), server.port());
        json!({ "host": host, "port": port, "username": "unheard", "password": password, "ssl": false }).to_string()
    };
    create(&service, "orders/db", &document("one")).await;
    // a rotation that is stuck before or in setSecret
    let pending = json!({
        "SecretId": "orders/db", "SecretString": document("two"), "VersionStages": ["AWSPENDING"]
    });
    service.call("PutSecretValue", pending).await.unwrap();
    let agent = Agent::start(&endpoint, "", "[[listen]]\nsecret = \"orders/db\"");
    let mut events = Events::open(&agent, "orders/db").await;
    let current = events.version().await;
    // the second attempt comes after all that follows from the first rejection
    let rejected = || server.logins("unheard").unwrap().rejected;
    until(async || (rejected() >= 3).then_some(())).await;
    let read = agent.read("orders/db").await.json();
    assert_eq!(read["VersionId"], *current);
    // nor for a moment: the next event is the next AWSCURRENT
    let next = common::put(&service, "orders/db", &document("three")).await;
    agent.read("orders/db&refreshNow=true").await;
    assert_eq!(events.version().await, next);
}

#[tokio::test]
async fn a_secret_that_is_no_login_is_served_although_nothing_announces_it() {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "mail/key", "no login").await;
    let agent = Agent::start(&endpoint, "", "[[listen]]\nsecret = \"mail/key\"");
    assert_eq!(agent.read("mail/key").await.value(), "no login");
    until(async || agent.log().contains("no notifications").then_some(())).await;
    common::put(&service, "mail/key", "two").await;
    assert_eq!(agent.read("mail/key&refreshNow=true").await.value(), "two");
}

#[tokio::test]
async fn a_table_that_cannot_be_used_is_named_by_check() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.toml");
    for (table, expected) in [
        ("secret = \"\"", ":2: secret = \"\": it is no secret's id"),
        (
            "secret = \"orders/db\"\nca_file = \"/absent.pem\"",
            ":3: ca_file = \"/absent.pem\"",
        ),
        ("secret = \"orders/db\"\nca = \"x\"", "unknown field `ca`"),
    ] {
        fs::write(&own, format!("[[listen]]\n{table}\n")).unwrap();
        let mut command = command();
        command
            .env("AWS_TOKEN", TOKEN)
            .arg("--check")
            .arg("--settings")
            .arg(&own);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn files_and_requests_of_one_secret_ask_once() {
    let place = Place::new().await;
    let arn = create(&place.service, "orders/db", "one").await;
    let table = place.table("write = [{ format = \"plain\" }]");
    let agent = Agent::start(&place.endpoint, LONG, &table);
    place.holds("secret", "one").await;
    for id in ["orders/db", &*arn, &arn[..arn.len() - 7]] {
        assert_eq!(agent.read(id).await.value(), "one");
    }
    assert_eq!(place.service.calls().len(), 1);
}

#[tokio::test]
async fn files_and_requests_of_one_secret_ask_once_also_after_other_secrets_have_filled_the_cache()
{
    let place = Place::new().await;
    for name in ["orders/db", "stock/db"] {
        create(&place.service, name, "one").await;
    }
    let table = place.table("write = [{ format = \"plain\" }]");
    let agent = Agent::start(&place.endpoint, &format!("{LONG}\ncache_size = 1"), &table);
    place.holds("secret", "one").await;
    for id in ["orders/db", "stock/db", "orders/db"] {
        assert_eq!(agent.read(id).await.value(), "one");
    }
    assert_eq!(place.service.calls().len(), 2);
    // so a version that a reader has seen is in the files, and no reader gets an older one later
    common::put(&place.service, "orders/db", "two").await;
    assert_eq!(agent.read("orders/db&refreshNow=true").await.value(), "two");
    place.holds("secret", "two").await;
}

#[tokio::test]
async fn an_arn_of_a_secret_with_files_never_means_another_secret_with_its_name() {
    let place = Place::new().await;
    let arn = create(&place.service, "orders/db", "one").await;
    let table = place.table("write = [{ format = \"plain\" }]");
    let agent = Agent::start(&place.endpoint, LONG, &table);
    place.holds("secret", "one").await;
    assert_eq!(agent.read(&arn).await.value(), "one");
    let delete = json!({ "SecretId": "orders/db", "ForceDeleteWithoutRecovery": true });
    place.service.call("DeleteSecret", delete).await.unwrap();
    create(&place.service, "orders/db", "two").await;
    let read = agent.read(&format!("{arn}&refreshNow=true")).await;
    assert_eq!(read.json()["__type"], "ResourceNotFoundException");
    assert_eq!(agent.read("orders/db").await.value(), "two");
    place.holds("secret", "two").await;
}

#[tokio::test]
async fn a_deleted_secret_is_no_longer_served_and_its_file_stays() {
    let place = Place::new().await;
    create(&place.service, "orders/db", "one").await;
    let agent = place.agent("write = [{ format = \"plain\" }]");
    place.holds("secret", "one").await;
    assert_eq!(agent.read("orders/db").await.value(), "one");
    let delete = json!({ "SecretId": "orders/db", "ForceDeleteWithoutRecovery": true });
    place.service.call("DeleteSecret", delete).await.unwrap();
    until(async || (agent.read("orders/db").await.status == 400).then_some(())).await;
    holds(&place.file("secret"), "one").await;
    // another secret with that name
    create(&place.service, "orders/db", "two").await;
    let read =
        until(async || Some(agent.read("orders/db").await).filter(|read| read.status == 200));
    assert_eq!(read.await.value(), "two");
    holds(&place.file("secret"), "two").await;
}
