//! Unix sockets: the kernel names the caller, and another user of this machine is the attacker.

#![cfg(test)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::{UnixListener, UnixStream as Blocking},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use common::{
    Agent, Reply, TOKEN, behind, create, exchange, folder::Place, put, skipped, token, until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid, getgid},
};
use serde_json::json;
use tokio::{io::AsyncReadExt, net::UnixStream, sync::mpsc};

/// No user of this machine has this number.
const OTHER: u32 = 47_114;

/// A secret of this name and value for each, and a folder that other users can enter.
async fn place() -> Place {
    let place = Place::new().await;
    for name in ["orders/db", "stock/db"] {
        create(&place.service, name, name).await;
    }
    fs::set_permissions(place.beside(""), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn socket(place: &Place) -> PathBuf {
    place.beside("run/socket")
}

/// A table for this socket with these lines.
fn table(path: &Path, lines: &str) -> String {
    format!(
        "[[sockets]]\npath = \"{}\"\nsecrets = [\"orders/*\"]\n{lines}\n",
        path.display()
    )
}

fn own_user() -> String {
    format!("users = [\"{}\"]", geteuid())
}

/// Sends a request without a token.
async fn send(path: &Path, request: &str) -> Reply {
    let mut stream = UnixStream::connect(path).await.unwrap();
    exchange(&mut stream, request).await.unwrap()
}

async fn read(path: &Path, query: &str) -> Reply {
    send(
        path,
        &format!("GET /secretsmanager/get?secretId={query} HTTP/1.1\r\nHost: any.example\r\n\r\n"),
    )
    .await
}

async fn call(path: &Path, operation: &str, id: &str) -> Reply {
    let body = json!({ "SecretId": id }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: any.example\r\nX-Amz-Target: secretsmanager.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(path, &request).await
}

/// curl as this user, if this test may become one.
async fn curl_as(user: u32, group: u32, path: &Path, query: &str) -> Option<Output> {
    if !geteuid().is_root() {
        skipped("another user at the socket: only root becomes one");
        return None;
    }
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--max-time",
        "60",
        "--write-out",
        " %{http_code}",
        "--unix-socket",
    ]);
    command.arg(path).arg(format!(
        "http://localhost/secretsmanager/get?secretId={query}"
    ));
    command.uid(user).gid(group);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap();
    if output.is_err() {
        skipped("another user at the socket: this machine has no curl");
    }
    output.ok()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_listed_user_reads_what_the_patterns_match_in_both_protocols_and_sends_no_token() {
    let place = place().await;
    let path = socket(&place);
    let _agent = Agent::start(&place.endpoint, "", &table(&path, &own_user()));
    assert_eq!(read(&path, "orders/db").await.value(), "orders/db");
    assert_eq!(
        call(&path, "GetSecretValue", "orders/db").await.value(),
        "orders/db"
    );
    assert_eq!(call(&path, "DescribeSecret", "orders/db").await.status, 200);
    for refused in [
        read(&path, "stock/db").await,
        call(&path, "GetSecretValue", "stock/db").await,
        read(
            &path,
            "orders/db&roleArn=arn:aws:iam::123456789012:role/reader",
        )
        .await,
    ] {
        assert_eq!(
            refused.json()["__type"],
            "AccessDeniedException",
            "{refused:?}"
        );
    }
    // the agent's own token adds nothing here
    let request = format!(
        "GET /v1/stock/db HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        token()
    );
    assert_eq!(
        send(&path, &request).await.json()["__type"],
        "AccessDeniedException"
    );
    // a proxy and a browser may be behind the socket
    for (header, expected) in [
        ("X-Forwarded-For: 192.0.2.1", (400, "Forwarded")),
        ("Origin: https://evil.example", (403, "Origin")),
    ] {
        let request = format!("GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n");
        assert_eq!(send(&path, &request).await.text(), expected);
    }
    assert_eq!(
        send(&path, "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_user_who_is_not_listed_gets_403_and_a_listed_user_or_group_reads() {
    let place = place().await;
    let path = socket(&place);
    let lines = format!("users = [\"{OTHER}\"]\ngroups = [\"{}\"]", OTHER + 1);
    let _agent = Agent::start(&place.endpoint, "", &table(&path, &lines));
    // also root is not listed here, and the token of the port opens no socket
    for request in [
        "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!(
            "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            token()
        ),
    ] {
        assert_eq!(send(&path, &request).await.text(), (403, "Bad Token"));
    }
    let refused = call(&path, "GetSecretValue", "orders/db").await;
    assert_eq!(
        (refused.status, &refused.json()["__type"]),
        (403, &json!("AccessDeniedException"))
    );
    assert!(refused.body.contains("users"), "{refused:?}");
    for (user, group, is_listed) in [
        (OTHER, OTHER, true),
        (OTHER + 1, OTHER + 1, true),
        (OTHER + 1, OTHER, false),
        (OTHER + 2, OTHER + 2, false),
    ] {
        let Some(output) = curl_as(user, group, &path, "orders/db").await else {
            return;
        };
        let said = text(&output);
        match is_listed {
            true => assert!(said.ends_with(" 200"), "{user} {group}: {said}"),
            false => assert_eq!(said, "Bad Token 403", "{user} {group}"),
        }
    }
}

#[tokio::test]
async fn the_mode_and_owner_are_right_before_anyone_can_connect() {
    let place = place().await;
    let path = socket(&place);
    let (tell, told) = std::sync::mpsc::channel();
    let (watched, starting) = (path.clone(), std::sync::Arc::new(()));
    let is_starting = std::sync::Arc::downgrade(&starting);
    std::thread::spawn(move || {
        while is_starting.strong_count() > 0 {
            if Blocking::connect(&watched).is_ok() {
                let is = fs::metadata(&watched).unwrap();
                let _ = tell.send((is.mode() & 0o7777, is.gid()));
                return;
            }
        }
    });
    let group = if geteuid().is_root() {
        OTHER
    } else {
        getgid().as_raw()
    };
    let lines = format!("{}\nmode = \"0660\"\nowner = \":{group}\"", own_user());
    let agent = Agent::start_with(&place.endpoint, "", &table(&path, &lines), |command| {
        command.env("AWS_TOKEN", TOKEN);
        behind(command, "umask 077; exec \"$@\"");
    });
    assert_eq!(told.recv().unwrap(), (0o660, group));
    // the agent made the folder, in spite of its umask for others to enter
    assert_eq!(
        fs::metadata(place.beside("run")).unwrap().mode() & 0o7777,
        0o755
    );
    let Some(output) = curl_as(OTHER, OTHER, &path, "orders/db").await else {
        return;
    };
    // the group may connect, and is still not served
    assert_eq!(text(&output), "Bad Token 403");
    drop((agent, starting));
}

#[tokio::test]
async fn a_socket_that_only_its_owner_may_use_is_closed_to_others_by_the_system() {
    let place = place().await;
    let path = socket(&place);
    let lines = format!("users = [\"{OTHER}\"]\nmode = \"0600\"");
    let _agent = Agent::start(&place.endpoint, "", &table(&path, &lines));
    if let Some(output) = curl_as(OTHER, OTHER, &path, "orders/db").await {
        assert_eq!(text(&output), " 000");
    }
}

/// The error of an agent that does not start with this socket.
async fn refused(place: &Place, path: &Path, lines: &str) -> String {
    let (config, settings) = (
        place.beside("refused-awss.toml"),
        place.beside("refused.toml"),
    );
    fs::write(&config, "http_port = 0\n").unwrap();
    fs::write(&settings, table(path, lines)).unwrap();
    let mut command = common::command();
    command.env("AWS_TOKEN", TOKEN).stderr(Stdio::piped());
    command
        .arg("--config")
        .arg(&config)
        .arg("--settings")
        .arg(&settings);
    let mut agent = command.spawn().unwrap();
    let log = BufReader::new(agent.stderr.take().unwrap());
    let read = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        for line in log.lines().map_while(Result::ok) {
            said += &format!("{line}\n");
            if line.contains("port=") {
                agent.kill().unwrap();
                panic!("it started: {said}");
            }
        }
        (agent.wait().unwrap().code(), said)
    });
    let (status, said) = read.await.unwrap();
    assert_eq!(status, Some(1), "{said}");
    said
}

#[tokio::test]
async fn a_socket_of_a_killed_agent_is_replaced_and_one_of_a_running_agent_is_not() {
    let place = place().await;
    let path = socket(&place);
    let own = table(&path, &own_user());
    let mut killed = Agent::start(&place.endpoint, "", &own);
    kill(Pid::from_raw(killed.pid()), Signal::SIGKILL).unwrap();
    until(async || killed.has_ended().then_some(())).await;
    assert!(fs::symlink_metadata(&path).is_ok());
    let mut running = Agent::start(&place.endpoint, "", &own);
    assert_eq!(read(&path, "orders/db").await.value(), "orders/db");
    let said = refused(&place, &path, &own_user()).await;
    assert!(said.contains("another process listens there"), "{said}");
    assert_eq!(read(&path, "orders/db").await.value(), "orders/db");
    // an agent that ends removes its own
    kill(Pid::from_raw(running.pid()), Signal::SIGTERM).unwrap();
    until(async || running.has_ended().then_some(())).await;
    assert!(fs::symlink_metadata(&path).is_err());
}

#[tokio::test]
async fn an_agent_that_ends_leaves_the_socket_of_the_agent_that_has_replaced_it() {
    let place = place().await;
    let path = socket(&place);
    let own = table(&path, &own_user());
    let mut first = Agent::start(&place.endpoint, "", &own);
    fs::remove_file(&path).unwrap();
    let _second = Agent::start(&place.endpoint, "", &own);
    kill(Pid::from_raw(first.pid()), Signal::SIGTERM).unwrap();
    until(async || first.has_ended().then_some(())).await;
    assert_eq!(read(&path, "orders/db").await.value(), "orders/db");
}

#[tokio::test]
async fn a_user_whose_right_ends_gets_the_end_of_its_stream_and_nothing_more() {
    let place = place().await;
    let path = socket(&place);
    let agent = Agent::start(&place.endpoint, "", &table(&path, &own_user()));
    let narrowed = table(&path, &own_user()).replace("orders/*", "stock/*");
    for next in [narrowed, table(&path, &format!("users = [\"{OTHER}\"]"))] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let request = "GET /rotating-secret/changes?secretId=orders/db HTTP/1.1\r\nHost: any\r\nAccept: text/event-stream\r\n\r\n";
        let refused =
            "GET /rotating-secret/changes?secretId=stock/db HTTP/1.1\r\nHost: any\r\n\r\n";
        assert_eq!(send(&path, refused).await.status, 400);
        let opened = exchange(&mut stream, request).await.unwrap();
        assert_eq!(opened.status, 200, "{opened:?}");
        agent.reload(&place.endpoint, "", &next);
        let mut said = String::new();
        // the connection is kept after the stream
        while !said.contains("event: end") {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap();
            assert!(length > 0, "{said}");
            said += str::from_utf8(&part[..length]).unwrap();
        }
        assert!(said.contains("AccessDeniedException"), "{said}");
        // a change that nobody may see any more
        put(&place.service, "orders/db", "two").await;
        let asked = read(&path, "orders/db").await;
        assert_ne!(asked.status, 200);
        agent.reload(&place.endpoint, "", &table(&path, &own_user()));
        until(async || (read(&path, "orders/db").await.status == 200).then_some(())).await;
    }
}

#[tokio::test]
async fn a_planted_file_link_or_socket_stays_and_ends_the_start() {
    let place = place().await;
    let path = socket(&place);
    fs::create_dir(place.beside("run")).unwrap();
    let other = place.beside("other");
    fs::write(&other, "of another").unwrap();
    for plant in [
        "a file",
        "a link to a file",
        "a link to nothing",
        "a folder",
        "a socket",
    ] {
        let mut listening = None;
        match plant {
            "a file" => fs::write(&path, "planted").unwrap(),
            "a link to a file" => symlink(&other, &path).unwrap(),
            "a link to nothing" => symlink(place.beside("absent"), &path).unwrap(),
            "a folder" => fs::create_dir(&path).unwrap(),
            _ => listening = Some(UnixListener::bind(&path).unwrap()),
        }
        let said = refused(&place, &path, &own_user()).await;
        let expected = match listening {
            Some(_) => "another process listens there",
            None => "another file is there",
        };
        assert!(said.contains(expected), "{plant}: {said}");
        let is = fs::symlink_metadata(&path).unwrap();
        match is.is_dir() {
            true => fs::remove_dir(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
    }
    assert_eq!(fs::read_to_string(other).unwrap(), "of another");
    assert!(!place.beside("absent").exists());
}

#[tokio::test]
async fn a_folder_where_another_user_could_replace_the_socket_ends_the_start() {
    let place = place().await;
    let (path, folder) = (socket(&place), place.beside("run"));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let said = refused(&place, &path, &own_user()).await;
    assert!(said.contains("lets others write there"), "{said}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    if geteuid().is_root() {
        chown(&folder, Some(OTHER), None).unwrap();
        let said = refused(&place, &path, &own_user()).await;
        assert!(said.contains(&format!("belongs to user {OTHER}")), "{said}");
        chown(&folder, Some(0), None).unwrap();
    }
    let link = place.beside("link");
    symlink(&folder, &link).unwrap();
    let said = refused(&place, &link.join("socket"), &own_user()).await;
    assert!(said.contains("symbolic link"), "{said}");
    // nothing was left there
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[tokio::test]
async fn mistakes_in_the_tables_are_all_named() {
    let place = place().await;
    let path = socket(&place);
    for (lines, expected) in [
        ("", "name who may read"),
        ("users = [\"no-such-user\"]", "no user \"no-such-user\""),
        ("groups = [\"no-such-group\"]", "no group \"no-such-group\""),
        (
            "users = [\"0\"]\nmode = \"0777\"",
            "write 0600, 0660 or 0666",
        ),
        ("users = [\"0\"]\nowner = \"no-such-user\"", "no such user"),
    ] {
        let said = refused(&place, &path, lines).await;
        assert!(said.contains(expected), "{lines}: {said}");
    }
    for wrong in [
        "socket",
        "/socket",
        "/run/../socket",
        &format!("/run/{}", "a".repeat(200)),
    ] {
        let said = refused(&place, Path::new(wrong), "users = [\"0\"]").await;
        assert!(said.contains("refused.toml:2: path"), "{wrong}: {said}");
    }
    let twice = format!("users = [\"0\"]\n{}", table(&path, "users = [\"1\"]"));
    let said = refused(&place, &path, &twice).await;
    assert!(said.contains("another table"), "{said}");
}

#[tokio::test]
async fn a_thousand_connections_of_a_user_who_is_not_listed_keep_out_no_other() {
    let place = place().await;
    let (closed, open) = (socket(&place), place.beside("run/other"));
    let own = table(&closed, &format!("users = [\"{OTHER}\"]")) + &table(&open, &own_user());
    let agent = Agent::start(&place.endpoint, "max_conn = 20", &own);
    let mut served = UnixStream::connect(&open).await.unwrap();
    let request = "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(&mut served, request).await.unwrap().status, 200);
    let mut crowd = Vec::new();
    for number in 0..1000 {
        let Ok(mut stream) = UnixStream::connect(&closed).await else {
            continue;
        };
        if number % 2 == 0 {
            drop(exchange(&mut stream, request).await);
        }
        crowd.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(
            exchange(&mut served, request).await.unwrap().value(),
            "orders/db"
        );
        let port = until(async || {
            let mut stream = agent.connect().await;
            let request = format!(
                "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
                token()
            );
            exchange(&mut stream, &request)
                .await
                .filter(|read| read.status == 200)
        });
        assert_eq!(port.await.value(), "orders/db");
    }
    assert_eq!(read(&open, "orders/db").await.value(), "orders/db");
}

#[tokio::test]
async fn no_answer_at_a_socket_speaks_of_a_token_because_there_is_none() {
    let place = place().await;
    let path = socket(&place);
    // too few connections for one that waits
    let agent = Agent::start(&place.endpoint, "max_conn = 2", &table(&path, &own_user()));
    let role = "arn:aws:iam::123456789012:role/reader";
    let refused = [
        read(&path, "stock/db").await,
        call(&path, "GetSecretValue", "stock/db").await,
        read(&path, &format!("orders/db&roleArn={role}")).await,
        send(
            &path,
            "GET /rotating-secret/changes?secretId=orders/db HTTP/1.1\r\nHost: any\r\n\r\n",
        )
        .await,
    ];
    for refused in refused {
        assert!(refused.body.contains("socket"), "{refused:?}");
        assert!(!refused.body.contains("token"), "{refused:?}");
    }
    let of_a_token = agent
        .get("/rotating-secret/changes?secretId=orders/db")
        .await;
    assert!(
        of_a_token.body.contains("with this token"),
        "{of_a_token:?}"
    );
}

/// An agent that starts with this socket, and the lines of its log.
struct Starting {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Starting {
    fn new(place: &Place, path: &Path, name: &str) -> Self {
        let (config, settings) = (
            place.beside(&format!("{name}-awss.toml")),
            place.beside(name),
        );
        fs::write(&config, "http_port = 0\n").unwrap();
        let own = format!("endpoint = \"{}\"\n", place.endpoint) + &table(path, &own_user());
        fs::write(&settings, own).unwrap();
        let mut command = common::command();
        command.env("AWS_TOKEN", TOKEN).stderr(Stdio::piped());
        command.arg("--config").arg(&config);
        command.arg("--settings").arg(&settings);
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self { child, lines }
    }

    /// What it logs until there is a line with this part, or until it ends.
    async fn says(&mut self, part: &str) -> String {
        let mut said = String::new();
        while let Some(line) = self.lines.recv().await {
            said += &format!("{line}\n");
            if line.contains(part) {
                break;
            }
        }
        said
    }
}

#[tokio::test]
async fn of_agents_that_start_at_one_moment_one_has_the_socket_and_the_others_say_what_to_do() {
    let place = place().await;
    let path = socket(&place);
    let agents = (0..6).map(|at| Starting::new(&place, &path, &format!("{at}.toml")));
    let mut agents: Vec<_> = agents.collect();
    let mut winners = 0;
    for agent in &mut agents {
        let said = agent.says("port=").await;
        let is_winner = said.contains("port=");
        winners += usize::from(is_winner);
        let told = "another process listens there: stop it, or name another path";
        assert!(is_winner || said.contains(told), "{said}");
    }
    assert_eq!(winners, 1);
    assert_eq!(read(&path, "orders/db").await.value(), "orders/db");
}

#[tokio::test]
async fn agents_that_start_at_one_moment_with_sockets_in_one_folder_all_start() {
    let place = place().await;
    let path = |at| place.beside(&format!("run/{at}"));
    let agents = (0..6).map(|at| Starting::new(&place, &path(at), &format!("{at}.toml")));
    let mut agents: Vec<_> = agents.collect();
    for (at, agent) in agents.iter_mut().enumerate() {
        let said = agent.says("port=").await;
        assert!(said.contains("port="), "{said}");
        let path = path(at.try_into().unwrap());
        assert_eq!(read(&path, "orders/db").await.value(), "orders/db");
    }
}

#[tokio::test]
async fn a_start_waits_until_another_one_in_its_folder_is_done() {
    let place = place().await;
    let path = socket(&place);
    fs::create_dir(place.beside("run")).unwrap();
    let other = fs::File::create(place.beside("run/.lock")).unwrap();
    other.lock().unwrap();
    let mut agent = Starting::new(&place, &path, "own.toml");
    let said = agent.says("waits").await;
    assert!(said.contains("another agent starts there"), "{said}");
    drop(other);
    let said = agent.says("port=").await;
    assert!(said.contains("port="), "{said}");
}
