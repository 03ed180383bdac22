//! Before the first request: prefetched secrets, credentials from a file, validated credentials.

#![cfg(test)]

mod common;

use std::{fs, process::Output};

use common::{Agent, TOKEN, World, command, secrets_manager, until};
use serde_json::json;

const PREFETCH: &str = "[capabilities.secrets_manager.prefetch]";

/// An agent that starts after these secrets were created.
async fn world(names: &[&str], lines: &str) -> World {
    let (service, endpoint) = secrets_manager().await;
    for name in names {
        let input = json!({ "Name": name, "SecretString": name, "Tags": [{ "Key": "prefetch", "Value": "any" }] });
        service.call("CreateSecret", input).await.unwrap();
    }
    let input = json!({ "Name": "without-a-tag", "SecretString": "one" });
    service.call("CreateSecret", input).await.unwrap();
    let agent = Agent::start(&endpoint, lines, "");
    World {
        service,
        endpoint,
        agent,
    }
}

impl World {
    fn read_so_far(&self) -> Vec<String> {
        let calls = self.service.calls().into_iter();
        let reads = calls.filter(|call| call.operation == "GetSecretValue");
        reads.filter_map(|call| call.secret).collect()
    }
}

#[tokio::test]
async fn prefetched_secrets_are_read_before_someone_asks_and_what_is_absent_stops_none() {
    let lines = format!(
        "{PREFETCH}\nmax_jitter_seconds = 0\nsecrets = [{{ secret_id = \"a\" }}, {{ secret_id = \"absent\" }}, {{ secret_id = \"b\" }}]"
    );
    let world = world(&["a", "b"], &lines).await;
    until(async || (world.read_so_far().len() == 3).then_some(())).await;
    until(async || world.agent.log().contains("absent").then_some(())).await;
    for name in ["a", "b"] {
        assert_eq!(world.agent.read(name).await.value(), name);
    }
    assert_eq!(world.read_so_far(), ["a", "absent", "b"]);
}

#[tokio::test]
async fn secrets_with_a_tag_are_prefetched_up_to_a_part_of_the_cache() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let lines = format!(
        "{PREFETCH}\ncache_buffer_ratio = 0.5\nfilter_tags = [{{ key = \"prefetch\" }}]\n[capabilities.secrets_manager.cache]\ncache_size = 8"
    );
    let world = world(&names, &lines).await;
    until(async || (world.read_so_far().len() == 4).then_some(())).await;
    let read = world.read_so_far();
    assert!(!read.contains(&"without-a-tag".to_owned()), "{read:?}");
    // a secret that was not prefetched: the prefetch is over
    let left = names
        .iter()
        .find(|name| !read.contains(&name.to_string()))
        .unwrap();
    world.agent.read(left).await;
    assert_eq!(world.read_so_far().len(), 5);
}

#[tokio::test]
async fn a_tag_that_cannot_be_listed_is_a_warning_that_says_what_to_allow() {
    let (service, endpoint) = secrets_manager().await;
    let read = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
    } });
    service
        .iam()
        .restrict("AKIAAGENT", "agent", &[read])
        .unwrap();
    let lines = format!("{PREFETCH}\nfilter_tags = [{{ key = \"prefetch\" }}]");
    let agent = Agent::start(&endpoint, &lines, "");
    until(async || {
        agent
            .log()
            .contains("secretsmanager:ListSecrets")
            .then_some(())
    })
    .await;
    assert_eq!(agent.request("GET", "/ping", "").await.status, 200);
}

#[tokio::test]
async fn credentials_come_from_the_file_that_is_named() {
    let (service, endpoint) = secrets_manager().await;
    service
        .iam()
        .restrict("AKIAOFAFILE", "of-a-file", &[])
        .unwrap();
    let input = json!({ "Name": "orders/db", "SecretString": "one" });
    service.call("CreateSecret", input).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let lines = format!("credentials_file_path = \"{}\"", file.display());
    for (id, status) in [("AKIAANY", 200), ("AKIAOFAFILE", 400)] {
        fs::write(
            &file,
            format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = any\n"),
        )
        .unwrap();
        let agent = Agent::start(&endpoint, &lines, "");
        assert_eq!(agent.read("orders/db").await.status, status, "{id}");
    }
    fs::write(&file, "[other]\n").unwrap();
    let agent = Agent::start(&endpoint, &lines, "");
    assert_eq!(agent.read("orders/db").await.status, 500);
    let log = until(async || Some(agent.log()).filter(|log| log.contains("not renewed"))).await;
    assert!(
        log.contains("credentials_file_path") && log.contains("aws_access_key_id"),
        "{log}"
    );
}

/// The output of an agent that validates credentials against the STS at this address.
async fn validated(sts: &str, access_key_id: &'static str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let (config, settings) = (folder.path().join("c.toml"), folder.path().join("s.toml"));
    fs::write(
        &config,
        "[capabilities.secrets_manager]\nhttp_port = 0\nvalidate_credentials = true\n",
    )
    .unwrap();
    fs::write(&settings, format!("sts_endpoint = \"{sts}\"\n")).unwrap();
    let mut command = command();
    command
        .env("AWS_TOKEN", TOKEN)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    match access_key_id {
        "" => command.env_remove("AWS_ACCESS_KEY_ID"),
        id => command.env("AWS_ACCESS_KEY_ID", id),
    };
    if access_key_id == "ASIAOVER" {
        command.env("AWS_SESSION_TOKEN", "of-nobody");
    }
    command
        .arg("--config")
        .arg(config)
        .arg("--settings")
        .arg(settings);
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().unwrap()
}

#[tokio::test]
async fn validated_credentials_that_are_missing_or_refused_end_the_start() {
    let (_service, sts) = secrets_manager().await;
    for id in ["", "ASIAOVER"] {
        let output = validated(&sts, id).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{id}: {said}");
        assert!(
            said.contains("validate_credentials = false"),
            "{id}: {said}"
        );
    }
}

// the start waits for STS, which answers from another thread
#[tokio::test(flavor = "multi_thread")]
async fn validated_credentials_that_are_good_or_an_sts_that_is_down_let_the_agent_start() {
    let (_service, endpoint) = secrets_manager().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let down = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    for (sts, is_down) in [(&endpoint, false), (&down, true)] {
        let own = format!("sts_endpoint = \"{sts}\"");
        let agent = Agent::start(&endpoint, "validate_credentials = true", &own);
        assert_eq!(agent.request("GET", "/ping", "").await.status, 200);
        assert_eq!(
            agent.log().contains("not validated"),
            is_down,
            "{}",
            agent.log()
        );
    }
}
