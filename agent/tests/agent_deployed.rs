//! What agent/deploy holds: read, and given to the agent. Nothing here starts it under systemd, in a cluster or on ECS.

#![cfg(test)]

mod common;

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::{Agent, TOKEN, command, folder::Place, skipped};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

/// Where the image has the agent.
const PROGRAM: &str = "/usr/local/bin/rotating-secret-agent";

fn deploy(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// `--check` with these settings.
fn check(settings: &Path) -> Output {
    let mut command = command();
    command
        .arg("--check")
        .arg("--settings")
        .arg(settings)
        .env("AWS_TOKEN", TOKEN);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn words<'a>(list: &'a Yaml<'a>) -> Vec<&'a str> {
    let words = list.as_sequence().unwrap();
    words.iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn systemd_accepts_the_unit_and_finds_little_that_it_leaves_open() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("rotating-secret-agent.service");
    let built = env!("CARGO_BIN_EXE_rotating-secret-agent");
    fs::write(
        &unit,
        deploy("rotating-secret-agent.service").replace(PROGRAM, built),
    )
    .unwrap();
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg(&unit).output()
    };
    let Ok(verified) = analyze(&["verify"]) else {
        skipped("the unit of systemd: this machine has no systemd-analyze");
        return;
    };
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    assert_eq!(text(&verified.stderr), "");
    // in tenths: 2.0 of 10
    let open = analyze(&["security", "--offline=yes", "--no-pager", "--threshold=20"]).unwrap();
    assert!(open.status.success(), "{}", text(&open.stdout));
}

#[test]
fn the_sidecars_settings_are_correct_and_both_containers_mount_one_folder() {
    let manifest = deploy("kubernetes.yaml");
    let documents = Yaml::load_from_str(&manifest).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(
        &settings,
        documents[0]["data"]["settings.toml"].as_str().unwrap(),
    )
    .unwrap();
    let checked = check(&settings);
    assert!(checked.status.success(), "{}", text(&checked.stderr));

    let pod = &documents[1]["spec"]["template"]["spec"];
    let (agent, orders) = (&pod["initContainers"][0], &pod["containers"][0]);
    let probe = words(&agent["startupProbe"]["exec"]["command"]);
    assert_eq!(probe[..2], [PROGRAM, "ready"]);
    assert_eq!(probe[2..], words(&agent["args"]));
    let (wrote, read) = (&agent["volumeMounts"][2], &orders["volumeMounts"][0]);
    for key in ["name", "mountPath"] {
        assert_eq!(wrote[key], read[key]);
    }
    let folder = read["mountPath"].as_str().unwrap();
    assert!(manifest.contains(&format!("directory = \"{folder}/db\"")));
    let file = orders["env"][0]["value"].as_str().unwrap();
    assert_eq!(file, format!("{folder}/db/current/pg_service.conf"));
}

#[test]
fn the_task_asks_with_a_command_of_the_agent_and_takes_token_and_address_from_one_secret() {
    let task: Value = serde_json::from_str(&deploy("ecs.json")).unwrap();
    let [agent, orders] = [0, 1].map(|at| &task["containerDefinitions"][at]);
    assert_eq!(
        agent["healthCheck"]["command"],
        serde_json::json!(["CMD", PROGRAM, "ready"])
    );
    assert_eq!(orders["dependsOn"][0]["containerName"], agent["name"]);
    let [token, address] = [agent, orders].map(|container| {
        let from = container["secrets"][0]["valueFrom"].as_str().unwrap();
        from.rsplitn(4, ':').last().unwrap().to_owned()
    });
    assert_eq!(token, address);
    assert!(deploy("Containerfile").contains(&format!("ENTRYPOINT [\"{PROGRAM}\"]")));
}

#[test]
fn check_names_each_mistake_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, "overlap_window = \"1s\"\nhosts = [\"a b\"]\n").unwrap();
    let checked = check(&settings);
    assert_eq!(checked.status.code(), Some(1));
    let said = text(&checked.stderr);
    assert!(said.contains("overlap_window"), "{said}");
    fs::write(&settings, "overlap_windw = \"1h\"\n").unwrap();
    let said = text(&check(&settings).stderr);
    assert!(
        said.contains("settings.toml:1: unknown field `overlap_windw`"),
        "{said}"
    );
}

/// The answer of `ready`, with the port in AWS's file.
async fn ready(port: u16) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config: PathBuf = folder.path().join("awss.toml");
    fs::write(&config, format!("http_port = {port}\n")).unwrap();
    let mut command = command();
    command.args(["ready", "--config"]).arg(&config);
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn ready_succeeds_when_the_required_files_are_there_and_else_names_them() {
    let place = Place::new().await;
    let own = format!(
        "[[files]]\nsecret = \"orders/db\"\ndirectory = \"{}\"",
        place.directory().display()
    );
    let agent = Agent::start(&place.endpoint, "", &own);
    let missing = ready(agent.port).await;
    assert_eq!(missing.status.code(), Some(1));
    let said = text(&missing.stderr);
    assert!(said.contains("pg_service.conf"), "{said}");
    common::create(
        &place.service,
        "orders/db",
        &common::folder::document("app", "one"),
    )
    .await;
    common::until(async || ready(agent.port).await.status.success().then_some(())).await;
}

#[tokio::test]
async fn ready_fails_where_no_agent_listens() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let failed = ready(port).await;
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed.stderr);
    assert!(
        said.contains("is not ready") && said.contains("-c FILE"),
        "{said}"
    );
}

#[tokio::test]
async fn ready_shows_no_control_characters_of_another_program_that_listens_there() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let body = "HTTP/1.1 503 any\r\nContent-Length: 12\r\n\r\n\x1b[2Jno\r\nmore";
        stream.write_all(body.as_bytes()).unwrap();
    });
    let failed = ready(port).await;
    let said = text(&failed.stderr);
    assert!(
        said.contains("[2Jno  more") && !said.contains('\x1b'),
        "{said}"
    );
}
