//! What hangs: a file that gives nothing, a database that does not answer. Everyone else still gets an answer.

#![cfg(test)]

mod common;

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Stdio,
};

use common::{
    Agent, TOKEN, create,
    folder::{Place, SHORT},
    put, until,
};
use local::postgres::{Postgres, Settings};
use nix::{
    fcntl::OFlag,
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use serde_json::json;
use tokio::net::TcpListener;

/// Puts a pipe there.
fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    mkfifo(path, Mode::S_IRWXU).unwrap();
}

/// Waits until someone reads the pipe. While the result is open, the reader gets nothing and no end.
async fn is_read(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    until(async || options.open(path).ok()).await
}

async fn is_well(agent: &Agent) {
    assert_eq!(agent.request("GET", "/ping", "").await.status, 200);
}

async fn ends(mut agent: Agent) {
    kill(Pid::from_raw(agent.pid()), Signal::SIGTERM).unwrap();
    until(async || agent.has_ended().then_some(())).await;
}

#[tokio::test]
async fn settings_that_cannot_be_read_at_a_reload_hold_up_no_reader_and_no_shutdown() {
    let place = Place::with_login().await;
    let agent = Agent::start(&place.endpoint, "", "");
    agent.read("orders/db").await.value();
    pipe(&agent.settings());
    kill(Pid::from_raw(agent.pid()), Signal::SIGHUP).unwrap();
    let held = is_read(&agent.settings()).await;
    is_well(&agent).await;
    agent.read("orders/db").await.value();
    ends(agent).await;
    drop(held);
}

#[tokio::test]
async fn a_credentials_file_that_is_a_pipe_is_an_error_until_there_is_a_file_again() {
    let place = Place::with_login().await;
    let path = place.beside("credentials");
    pipe(&path);
    let lines = format!("credentials_file_path = \"{}\"", path.display());
    let agent = Agent::start(&place.endpoint, &lines, "");
    assert_eq!(agent.read("orders/db").await.status, 500);
    is_well(&agent).await;
    fs::remove_file(&path).unwrap();
    let text = "[default]\naws_access_key_id = A\naws_secret_access_key = B\n";
    fs::write(&path, text).unwrap();
    until(async || (agent.read("orders/db").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn credentials_that_the_sdk_cannot_read_hold_up_no_one_else() {
    let place = Place::with_login().await;
    let path = place.beside("identity");
    pipe(&path);
    let agent = Agent::start_with(&place.endpoint, "", "", |command| {
        command.env("AWS_TOKEN", TOKEN);
        command.env_remove("AWS_ACCESS_KEY_ID");
        command.env("AWS_WEB_IDENTITY_TOKEN_FILE", &path);
        command.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader");
    });
    let (read, held) = tokio::join!(agent.read("orders/db"), async {
        let held = is_read(&path).await;
        is_well(&agent).await;
        held
    });
    assert!(read.status >= 500, "{read:?}");
    ends(agent).await;
    drop(held);
}

/// The document of a login at this port.
fn login(user: &str, port: u16) -> String {
    let document = json!({ "host": "localhost", "port": port, "username": user, "password": user, "ssl": false });
    document.to_string()
}

/// Accepts connections and never answers.
async fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn sessions(server: &Postgres, user: &str) -> i64 {
    let client = server.superuser_client().await.unwrap();
    let question =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND usename = $1";
    let row = client.query_one(question, &[&user]).await;
    row.unwrap().get(0)
}

async fn listens(server: &Postgres, user: &str) {
    until(async || (sessions(server, user).await == 1).then_some(())).await;
}

const LISTEN: &str = "[[listen]]\nsecret = \"orders/db\"";

#[tokio::test]
async fn a_listener_leaves_a_login_that_hangs_and_a_server_that_the_secret_has_left() {
    let (first, second) = (
        Postgres::start(Settings::default()).await.unwrap(),
        Postgres::shared().await.unwrap(),
    );
    for server in [&first, second] {
        let created = server.execute("CREATE ROLE moved LOGIN PASSWORD 'moved'");
        created.await.unwrap();
    }
    let (hung, port) = silent().await;
    let place = Place::new().await;
    create(&place.service, "orders/db", &login("moved", port)).await;
    let agent = Agent::start(&place.endpoint, "", LISTEN);
    agent.read("orders/db").await.value();
    let (_open, _) = hung.accept().await.unwrap();
    is_well(&agent).await;
    for server in [&first, second] {
        put(&place.service, "orders/db", &login("moved", server.port())).await;
        agent.read("orders/db&refreshNow=true").await.value();
        listens(server, "moved").await;
        // the new login did not wait for the end of the old one
        let hung = format!("port {port}:");
        assert!(!agent.log().contains(&hung), "{}", agent.log());
    }
    until(async || (sessions(&first, "moved").await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_role_whose_settings_refuse_the_login_is_reported_and_listens_when_they_allow_it() {
    let server = Postgres::shared().await.unwrap();
    for statement in [
        "CREATE ROLE refused LOGIN PASSWORD 'refused'",
        "ALTER ROLE refused SET session_preload_libraries = 'absent'",
    ] {
        server.execute(statement).await.unwrap();
    }
    let place = Place::new().await;
    create(
        &place.service,
        "orders/db",
        &login("refused", server.port()),
    )
    .await;
    let agent = Agent::start(&place.endpoint, "", LISTEN);
    let is_told = || agent.log().contains("no notifications");
    until(async || is_told().then_some(())).await;
    agent.read("orders/db").await.value();
    let reset = "ALTER ROLE refused RESET session_preload_libraries";
    server.execute(reset).await.unwrap();
    listens(server, "refused").await;
}

#[tokio::test]
async fn a_child_of_exec_starts_and_follows_while_the_login_of_its_listener_hangs() {
    let (hung, port) = silent().await;
    let place = Place::new().await;
    create(&place.service, "orders/db", &login("one", port)).await;
    let (awss, own, out) = (
        place.beside("awss.toml"),
        place.beside("own.toml"),
        place.beside("user"),
    );
    fs::write(&awss, format!("[capabilities.secrets_manager]\n{SHORT}")).unwrap();
    fs::write(&own, format!("endpoint = \"{}\"\n{LISTEN}", place.endpoint)).unwrap();
    let script = format!(
        "printf %s \"$PGUSER\" > {0}.new; mv {0}.new {0}; exec sleep 3600",
        out.display()
    );
    let mut command = common::command();
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
        .args(["exec", "--secret", "orders/db", "--config"])
        .arg(&awss);
    command
        .arg("--settings")
        .arg(&own)
        .args(["--", "sh", "-c", &script]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let is = |user: &'static str| {
        let out = &out;
        until(async move || (fs::read_to_string(out).ok()? == user).then_some(()))
    };
    let (_open, _) = hung.accept().await.unwrap();
    is("one").await;
    put(&place.service, "orders/db", &login("two", port)).await;
    is("two").await;
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    child.wait().unwrap();
}
