//! Tokens that open some of the secrets, and tokens that change while the agent runs.

#![cfg(test)]

mod common;

use std::{fs, os::unix::fs::symlink};

use common::{Agent, Reply, TOKEN, World, command, secrets_manager, until};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::json;
use tempfile::TempDir;

const LIMITED: &str = "a-t0ken-of-one-program";

/// An agent with a token that opens `secrets`.
async fn world(secrets: &str) -> (World, TempDir) {
    let (service, endpoint) = secrets_manager().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{LIMITED}\n")).unwrap();
    let own = format!(
        "[[tokens]]\nfile = \"{}\"\nsecrets = {secrets}",
        file.display()
    );
    let agent = Agent::start(&endpoint, "", &own);
    let world = World {
        service,
        endpoint,
        agent,
    };
    (world, folder)
}

impl World {
    async fn read_as(&self, token: &str, query: &str) -> Reply {
        let headers = format!("X-Vault-Token: {token}\r\n");
        let target = format!("/secretsmanager/get?secretId={query}");
        self.agent.request("GET", &target, &headers).await
    }

    async fn call_as(&self, token: &str, operation: &str, input: serde_json::Value) -> Reply {
        let path = format!("/sdk/{token}");
        let input = input.to_string();
        self.agent.call_with(&path, "", operation, &input).await
    }
}

fn is_denied(reply: &Reply) -> bool {
    reply.status == 400 && reply.json()["__type"] == "AccessDeniedException"
}

#[tokio::test]
async fn a_token_opens_the_names_that_match_it_by_every_spelling_and_no_others() {
    let (world, _folder) = world(r#"["orders/*", "shared"]"#).await;
    for name in [
        "orders/db",
        "shared",
        "stock/db",
        "not-orders/db",
        "sharedx",
    ] {
        let arn = world.create(name, name).await;
        let opens = name.starts_with("orders/") || name == "shared";
        for id in [name, &*arn, &arn[..arn.len() - 7]] {
            let read = world.read_as(LIMITED, id).await;
            let fresh = world.read_as(LIMITED, &format!("{id}&refreshNow=1")).await;
            let input = json!({ "SecretId": id });
            let call = world
                .call_as(LIMITED, "GetSecretValue", input.clone())
                .await;
            let described = world.call_as(LIMITED, "DescribeSecret", input).await;
            for reply in [&read, &fresh, &call, &described] {
                assert_eq!(reply.status == 200, opens, "{id} {reply:?}");
                assert!(opens || is_denied(reply), "{id} {reply:?}");
            }
            // read with the agent's own token, before and after it is cached
            assert_eq!(world.read_as(TOKEN, id).await.value(), name);
            assert_eq!(is_denied(&world.read_as(LIMITED, id).await), !opens, "{id}");
        }
    }
    let ids = json!({ "SecretIdList": ["orders/db", "stock/db"] });
    let batch = world
        .call_as(LIMITED, "BatchGetSecretValue", ids)
        .await
        .json();
    assert_eq!(batch["SecretValues"].as_array().unwrap().len(), 1);
    assert_eq!(batch["Errors"][0]["ErrorCode"], "AccessDeniedException");
}

/// An attacker who may create secrets chooses their names.
#[tokio::test]
async fn a_name_that_ends_as_an_arn_does_opens_nothing_else() {
    let (world, _folder) = world(r#"["orders/db"]"#).await;
    let arn = world.create("orders/db-AbCdEf", "of-another").await;
    let partial = &arn[..arn.len() - 7];
    for id in ["orders/db-AbCdEf", &*arn, partial] {
        let read = world.read_as(LIMITED, id).await;
        assert_ne!(read.status, 200, "{id} {read:?}");
    }
}

#[tokio::test]
async fn a_limited_token_uses_no_role_and_learns_of_no_other_secret() {
    let (world, _folder) = world(r#"["orders/*"]"#).await;
    world.create("stock/db", "one").await;
    let role = "orders/db&roleArn=arn:aws:iam::123456789012:role/reader";
    let refused = world.read_as(LIMITED, role).await;
    assert!(
        is_denied(&refused) && refused.body.contains("roleArn"),
        "{refused:?}"
    );
    // the same answer for an existing and an absent secret
    let (there, absent) = (
        world.read_as(LIMITED, "stock/db").await,
        world.read_as(LIMITED, "stock/absent").await,
    );
    assert_eq!(there.text(), absent.text());
    assert_eq!(world.asked(), 0);
    assert_eq!(
        world.read_as("another-t0ken", "orders/db").await.text(),
        (403, "Bad Token")
    );
}

#[tokio::test]
async fn a_limited_token_that_is_missing_or_weak_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, file) = (folder.path().join("own.toml"), folder.path().join("token"));
    let text = format!(
        "[[tokens]]\nfile = \"{}\"\nsecrets = [\"a\"]\n",
        file.display()
    );
    fs::write(&settings, text).unwrap();
    for (token, told) in [(None, "cannot be read"), (Some("short"), "5 characters")] {
        if let Some(token) = token {
            fs::write(&file, token).unwrap();
        }
        let mut command = command();
        command
            .env("AWS_TOKEN", TOKEN)
            .arg("--settings")
            .arg(&settings);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(told) && said.contains("[[tokens]]"), "{said}");
    }
}

#[test]
fn every_token_that_cannot_be_used_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, weak) = (folder.path().join("own.toml"), folder.path().join("weak"));
    fs::write(&weak, "short").unwrap();
    let table = |file: &str| format!("[[tokens]]\nfile = \"{file}\"\nsecrets = [\"a\"]\n");
    let text = table(&weak.display().to_string()) + &table("/absent/token");
    fs::write(&settings, text).unwrap();
    let mut command = command();
    command.arg("--check").arg("--settings").arg(&settings);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
    for part in ["AWS_TOKEN", "5 characters", "/absent/token"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_token_that_is_written_again_counts_without_a_restart_and_the_old_one_ends() {
    let (world, folder) = world(r#"["*"]"#).await;
    world.create("orders/db", "one").await;
    assert_eq!(world.read_as(LIMITED, "orders/db").await.status, 200);
    fs::write(folder.path().join("token"), "the-n3xt-token").unwrap();
    until(async || {
        let read = world.read_as("the-n3xt-token", "orders/db").await;
        (read.status == 200).then_some(())
    })
    .await;
    assert_eq!(world.read_as(LIMITED, "orders/db").await.status, 403);
    assert_eq!(world.read_as(TOKEN, "orders/db").await.status, 200);
}

/// The program that reads a token may be able to replace its file.
#[tokio::test]
async fn a_token_file_that_becomes_a_pipe_or_has_no_end_holds_up_nothing() {
    for plant in ["a pipe", "a file without an end"] {
        let (world, folder) = world(r#"["*"]"#).await;
        world.create("orders/db", "one").await;
        let file = folder.path().join("token");
        fs::remove_file(&file).unwrap();
        match plant {
            "a pipe" => mkfifo(&file, Mode::S_IRWXU).unwrap(),
            _ => symlink("/dev/zero", &file).unwrap(),
        }
        let is_seen = || world.agent.log().contains("the token stays as it was");
        until(async || is_seen().then_some(())).await;
        assert_eq!(world.read_as(LIMITED, "orders/db").await.value(), "one");
    }
}

#[test]
fn two_equal_tokens_end_the_start_because_the_first_one_would_hide_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("own.toml");
    let file = |name: &str, token: &str| {
        let path = folder.path().join(name);
        fs::write(&path, token).unwrap();
        format!(
            "[[tokens]]\nfile = \"{}\"\nsecrets = [\"a\"]\n",
            path.display()
        )
    };
    let (own, one) = (file("own", TOKEN), file("one", LIMITED));
    for (tables, expected) in [
        (own, "own"),
        (one.clone() + &file("two", LIMITED), "two"),
        (one.repeat(2), "one"),
    ] {
        fs::write(&settings, tables).unwrap();
        let mut command = command();
        command.env("AWS_TOKEN", TOKEN);
        command.arg("--check").arg("--settings").arg(&settings);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let path = folder.path().join(expected);
        let is_named = said.contains("another token") && said.contains(&*path.to_string_lossy());
        assert!(is_named && !said.contains("t0ken"), "{said}");
    }
}

/// Someone writes the token itself where a name or a path of it belongs.
#[test]
fn a_token_in_the_place_of_a_variables_name_or_of_a_path_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (config, settings) = (folder.path().join("c.toml"), folder.path().join("s.toml"));
    let table = |line: &str| format!("[[tokens]]\n{line}\nsecrets = [\"a\"]\n");
    let plain = "8f3hunter2c0ffee";
    let file = format!("file = \"{plain}\"");
    for (awss, own, token, told) in [
        (
            "ssrf_env_variables = [\"8f3hunter2c0ffee\"]",
            "",
            TOKEN,
            "c.toml:1: ssrf_env_variables: ",
        ),
        (
            "ssrf_env_variables = [\"c0ffeehunter2\"]",
            "",
            TOKEN,
            "ssrf_env_variables",
        ),
        (
            "ssrf_env_variables = [\"OWN_TOKEN\", \"c0ffeehunter2\"]",
            "",
            TOKEN,
            "OWN_TOKEN",
        ),
        ("", &*table(&file), TOKEN, "[[tokens]] number 1"),
        (
            "",
            &*table("\"hunter2-C0ffee\" = 1"),
            TOKEN,
            "s.toml:2: unknown field",
        ),
        ("", "", "file://8f3hunter2c0ffee", "AWS_TOKEN"),
    ] {
        fs::write(&config, awss).unwrap();
        fs::write(&settings, own).unwrap();
        let mut command = command();
        command
            .env("AWS_TOKEN", token)
            .arg("--check")
            .arg("-c")
            .arg(&config);
        let output = command.arg("--settings").arg(&settings).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(told), "{told}: {said}");
        assert!(!said.contains("hunter2"), "{awss}{own}{token}: {said}");
    }
}
