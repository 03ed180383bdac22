//! SIGHUP: what it replaces, and what it leaves.

#![cfg(test)]

mod common;

use std::{fs, path::PathBuf};

use common::{
    Agent, Reply, create, exchange, reply, secrets_manager, token, until,
    watch::{Events, token_of},
};
use local::secrets_manager::SecretsManager;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UnixStream},
};

const READ_AGAIN: &str = "the settings were read again";

/// Secrets, and files for tokens.
struct Place {
    service: SecretsManager,
    endpoint: String,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let (service, endpoint) = secrets_manager().await;
        for name in ["orders/db", "stock/db"] {
            create(&service, name, name).await;
        }
        let folder = tempfile::tempdir().unwrap();
        Self {
            service,
            endpoint,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// A table of a token `the-t0ken-of-NAME` with this pattern.
    fn token(&self, name: &str, pattern: &str) -> String {
        let path = self.path(name);
        fs::write(&path, format!("the-t0ken-of-{name}")).unwrap();
        format!(
            "[[tokens]]\nfile = \"{}\"\nsecrets = [\"{pattern}\"]\n",
            path.display()
        )
    }

    fn start(&self, lines: &str, own: &str) -> Agent {
        Agent::start(&self.endpoint, lines, own)
    }
}

/// How often the agent has read its settings again.
fn reloads(agent: &Agent) -> usize {
    agent.log().matches(READ_AGAIN).count()
}

async fn reload(place: &Place, agent: &Agent, lines: &str, own: &str) {
    let before = reloads(agent);
    agent.reload(&place.endpoint, lines, own);
    until(async || (reloads(agent) > before).then_some(())).await;
}

async fn read_as(stream: &mut TcpStream, name: &str, id: &str) -> Reply {
    let request = format!(
        "GET /v1/{id} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: the-t0ken-of-{name}\r\n\r\n"
    );
    exchange(stream, &request).await.unwrap()
}

#[tokio::test]
async fn tokens_patterns_and_hosts_are_replaced_while_connections_port_and_cache_stay() {
    let place = Place::new().await;
    let agent = place.start(
        "",
        &(place.token("one", "orders/*") + &place.token("two", "stock/*")),
    );
    let mut kept = agent.connect().await;
    assert_eq!(read_as(&mut kept, "one", "orders/db").await.status, 200);
    assert_eq!(read_as(&mut kept, "one", "stock/db").await.status, 400);
    assert_eq!(read_as(&mut kept, "two", "stock/db").await.status, 200);
    let asked = place.service.calls().len();
    let own = "hosts = [\"agent.internal\"]\n".to_owned()
        + &place.token("one", "stock/*")
        + &place.token("three", "*");
    reload(&place, &agent, "", &own).await;
    // on the same connection, and on a new one to the same port
    for mut stream in [kept, agent.connect().await] {
        assert_eq!(read_as(&mut stream, "one", "orders/db").await.status, 400);
        assert_eq!(
            read_as(&mut stream, "one", "stock/db").await.value(),
            "stock/db"
        );
        assert_eq!(
            read_as(&mut stream, "two", "stock/db").await.text(),
            (403, "Bad Token")
        );
        assert_eq!(
            read_as(&mut stream, "three", "orders/db").await.value(),
            "orders/db"
        );
        let request = format!(
            "GET /v1/orders/db HTTP/1.1\r\nHost: agent.internal\r\n{}\r\n",
            token()
        );
        assert_eq!(exchange(&mut stream, &request).await.unwrap().status, 200);
    }
    assert_eq!(place.service.calls().len(), asked);
}

#[tokio::test]
async fn the_users_of_a_socket_are_replaced_on_open_connections_too() {
    let place = Place::new().await;
    let path = place.path("run/socket");
    let table = |users: &str, secrets: &str| {
        format!(
            "[[sockets]]\npath = \"{}\"\nusers = [\"{users}\"]\nsecrets = [\"{secrets}\"]\n",
            path.display()
        )
    };
    let own = geteuid().to_string();
    let agent = place.start("", &table(&own, "*"));
    let mut kept = UnixStream::connect(&path).await.unwrap();
    let request = "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(&mut kept, request).await.unwrap().status, 200);
    reload(&place, &agent, "", &table(&own, "stock/*")).await;
    assert_eq!(exchange(&mut kept, request).await.unwrap().status, 400);
    reload(&place, &agent, "", &table("47114", "*")).await;
    assert_eq!(
        exchange(&mut kept, request).await.unwrap().text(),
        (403, "Bad Token")
    );
    // without its table a socket serves nobody; only a restart removes it
    reload(&place, &agent, "", "").await;
    assert_eq!(
        exchange(&mut kept, request).await.unwrap().text(),
        (403, "Bad Token")
    );
    assert!(agent.log().contains("[[sockets]]"), "{}", agent.log());
    reload(&place, &agent, "", &table(&own, "*")).await;
    assert_eq!(exchange(&mut kept, request).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_bad_file_is_a_warning_with_every_mistake_and_the_old_settings_stay() {
    let place = Place::new().await;
    let own = place.token("one", "orders/*");
    let agent = place.start("", &own);
    let weak = place.path("weak");
    fs::write(&weak, "short").unwrap();
    let weak = format!(
        "[[tokens]]\nfile = \"{}\"\nsecrets = [\"*\"]",
        weak.display()
    );
    for (seen, (lines, own, mistakes)) in [
        (
            "max_conn = 0\nmax_roles = 0",
            "idle = \"soon\"",
            &["max_conn", "max_roles", "idle"][..],
        ),
        ("max_conn = ", "", &["awss.toml"]),
        ("", "no_such_key = 1", &["no_such_key"]),
        ("", &*weak, &["5 characters"]),
    ]
    .into_iter()
    .enumerate()
    {
        agent.reload(&place.endpoint, lines, own);
        let log = until(async || {
            let log = agent.log();
            (log.matches("the settings stay as they were").count() == seen + 1).then_some(log)
        })
        .await;
        for mistake in mistakes {
            let is_warned = |line: &str| line.contains("WARN") && line.contains(mistake);
            assert!(log.lines().any(is_warned), "{mistake}: {log}");
        }
        let mut stream = agent.connect().await;
        assert_eq!(
            read_as(&mut stream, "one", "orders/db").await.value(),
            "orders/db"
        );
        assert_eq!(read_as(&mut stream, "one", "stock/db").await.status, 400);
    }
    assert_eq!(reloads(&agent), 0);
    reload(&place, &agent, "", &place.token("one", "stock/*")).await;
    let mut stream = agent.connect().await;
    assert_eq!(
        read_as(&mut stream, "one", "stock/db").await.value(),
        "stock/db"
    );
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_only_that() {
    let place = Place::new().await;
    let agent = place.start("", "");
    reload(&place, &agent, "", &place.token("one", "*")).await;
    assert!(!agent.log().contains("before a restart"), "{}", agent.log());
    let lines = "max_conn = 7\npath_prefix = \"/v2/\"\n[capabilities.secrets_manager.cache]\nttl_seconds = 10";
    let files = format!(
        "[[files]]\nsecret = \"orders/db\"\ndirectory = \"{}\"",
        place.path("out").display()
    );
    let own = format!("idle = \"2h\"\nmetrics_port = 0\n{files}");
    reload(&place, &agent, lines, &own).await;
    let log = agent.log();
    let named = log
        .lines()
        .find(|line| line.contains("before a restart"))
        .unwrap();
    assert!(
        named.contains("\"ttl_seconds, path_prefix, max_conn, idle, [[files]], metrics_port\""),
        "{named}"
    );
    // nothing of it has an effect
    assert_eq!(agent.get("/v2/orders/db").await.text(), (404, "Not found"));
    assert!(!place.path("out").exists());
}

#[tokio::test]
async fn the_log_level_is_replaced_in_both_directions() {
    let place = Place::new().await;
    let agent = place.start("", "");
    let log = |level: &str| format!("[logging]\nlog_level = \"{level}\"");
    // at this level the reload itself is not logged
    agent.reload(
        &place.endpoint,
        &log("error"),
        "hosts = [\"agent.internal\"]",
    );
    let request = format!(
        "GET /v1/orders/db HTTP/1.1\r\nHost: agent.internal\r\n{}\r\n",
        token()
    );
    until(async || (agent.send(&request).await.status == 200).then_some(())).await;
    reload(&place, &agent, &log("info"), "").await;
    assert_eq!(reloads(&agent), 1, "{}", agent.log());
}

#[tokio::test]
async fn secrets_that_the_new_settings_prefetch_are_read_without_a_request() {
    let place = Place::new().await;
    let agent = place.start("", "");
    let lines = "[capabilities.secrets_manager.prefetch]\nsecrets = [{ secret_id = \"stock/db\" }]";
    reload(&place, &agent, lines, "").await;
    let read = || {
        place
            .service
            .calls()
            .iter()
            .filter(|call| call.secret.as_deref() == Some("stock/db"))
            .count()
    };
    until(async || (read() == 1).then_some(())).await;
    // the same settings again are no reason to read again
    reload(&place, &agent, lines, "").await;
    assert_eq!(agent.read("stock/db").await.value(), "stock/db");
    assert_eq!(read(), 1);
}

#[tokio::test]
async fn many_signals_while_requests_come_end_and_lose_nothing() {
    let place = Place::new().await;
    let own = place.token("one", "orders/*");
    let mut agent = place.start("", &own);
    let mut stream = agent.connect().await;
    for _ in 0..200 {
        kill(Pid::from_raw(agent.pid()), Signal::SIGHUP).unwrap();
        assert_eq!(
            read_as(&mut stream, "one", "orders/db").await.value(),
            "orders/db"
        );
    }
    until(async || (reloads(&agent) > 0).then_some(())).await;
    assert!(!agent.has_ended());
    assert!(!agent.whole_log().contains("WARN"));
}

/// Takes all places for changes of one of two callers: half of eight connections, in equal parts.
async fn all_places(agent: &Agent, headers: &str) -> [Events; 2] {
    let open = async || Events::open_with(agent, "orders/db", headers).await;
    [open().await, open().await]
}

async fn has_no_more_places(agent: &Agent, headers: &str) {
    let more = Events::open_with(agent, "orders/db", headers).await;
    assert!(more.head.starts_with("HTTP/1.1 429"), "{}", more.head);
}

#[tokio::test]
async fn a_reload_gives_no_second_part_of_the_places_for_changes() {
    let place = Place::new().await;
    let own = place.token("one", "orders/*");
    let agent = place.start("max_conn = 8", &own);
    let headers = token_of("the-t0ken-of-one");
    let open = all_places(&agent, &headers).await;
    // max_conn needs a restart, and so do the parts
    for lines in ["max_conn = 8", "max_conn = 1000"] {
        reload(&place, &agent, lines, &own).await;
        has_no_more_places(&agent, &headers).await;
    }
    drop(open);
    until(async || {
        let more = Events::open_with(&agent, "orders/db", &headers).await;
        more.head.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_file_that_is_renamed_gets_no_second_part_because_its_programs_are_the_same() {
    let place = Place::new().await;
    let own = place.token("one", "orders/*");
    let agent = place.start("max_conn = 8", &own);
    let headers = token_of("the-t0ken-of-one");
    let open = all_places(&agent, &headers).await;
    let renamed = place.token("renamed", "orders/*");
    fs::write(place.path("renamed"), "the-t0ken-of-one").unwrap();
    reload(&place, &agent, "max_conn = 8", &renamed).await;
    has_no_more_places(&agent, &headers).await;
    drop(open);
}

#[tokio::test]
async fn a_call_whose_body_comes_after_its_token_has_ended_gets_nothing() {
    let place = Place::new().await;
    let agent = place.start("", &place.token("one", "*"));
    let body = json!({ "SecretId": "orders/db" }).to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n\
         X-Amz-Security-Token: the-t0ken-of-one\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    for own in [place.token("one", "stock/*"), String::new()] {
        reload(&place, &agent, "", &place.token("one", "*")).await;
        let mut stream = agent.connect().await;
        // the agent asks for the body when the token has opened it
        assert_eq!(exchange(&mut stream, &head).await.unwrap().status, 100);
        reload(&place, &agent, "", &own).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let refused = reply(&mut stream, false).await.unwrap();
        assert_eq!(refused.json()["__type"], "AccessDeniedException");
    }
}

#[tokio::test]
async fn a_search_after_a_rejected_login_ends_with_its_token() {
    let place = Place::new().await;
    let agent = place.start("", &place.token("one", "*"));
    let first = agent.read("orders/db").await.json()["VersionId"].clone();
    let target = format!(
        "/rotating-secret/rejected?secretId=orders/db&versionId={}",
        first.as_str().unwrap()
    );
    let headers = token_of("the-t0ken-of-one");
    let ended = async {
        let asked = place.service.calls().len();
        until(async || (place.service.calls().len() > asked).then_some(())).await;
        reload(&place, &agent, "", "").await;
        let pending = json!({ "SecretId": "orders/db", "SecretString": "two", "VersionStages": ["AWSPENDING"] });
        place.service.call("PutSecretValue", pending).await.unwrap();
    };
    let (refused, ()) = tokio::join!(agent.request("POST", &target, &headers), ended);
    assert_eq!(
        refused.json()["__type"],
        "AccessDeniedException",
        "{refused:?}"
    );
}

#[tokio::test]
async fn connections_whose_token_has_ended_keep_out_no_program_that_has_one() {
    let place = Place::new().await;
    let agent = place.start("max_conn = 2", &place.token("one", "*"));
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = agent.connect().await;
        assert_eq!(read_as(&mut stream, "one", "orders/db").await.status, 200);
        kept.push(stream);
    }
    assert_eq!(agent.read("orders/db").await.status, 429);
    reload(&place, &agent, "", "").await;
    let ping = "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";
    until(async || {
        for stream in &mut kept {
            // they stay in use, and none of them is cut without need
            assert_eq!(exchange(stream, ping).await.unwrap().status, 200);
        }
        (agent.read("orders/db").await.status == 200).then_some(())
    })
    .await;
}
