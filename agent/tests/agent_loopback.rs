//! The port: both loopback addresses, or the one that the machine has.

#![cfg(test)]

mod common;

use std::{fs, io::Write, net::TcpListener, process::Command};

use common::{Agent, TOKEN, behind, command, exchange, secrets_manager, skipped, token, world};
use tokio::net::TcpStream;

fn has_ipv6() -> bool {
    let is_there = TcpListener::bind("[::1]:0").is_ok();
    if !is_there {
        skipped("[::1]: this machine has no IPv6");
    }
    is_there
}

#[tokio::test]
async fn both_loopback_addresses_serve_on_one_port_that_is_chosen_for_both() {
    if !has_ipv6() {
        return;
    }
    let world = world("").await;
    world.create("orders/db", "one").await;
    for (address, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let mut stream = TcpStream::connect((address, world.agent.port))
            .await
            .unwrap();
        let request = format!(
            "GET /v1/orders/db HTTP/1.1\r\nHost: {host}:{}\r\n{}\r\n",
            world.agent.port,
            token()
        );
        let read = exchange(&mut stream, &request).await.unwrap();
        assert_eq!(read.value(), "one", "{address}");
        // the same checks on both
        let refused = exchange(
            &mut stream,
            "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n\r\n",
        );
        assert_eq!(
            refused.await.unwrap().text(),
            (403, "Bad Token"),
            "{address}"
        );
    }
}

/// `localhost` may mean [::1] first: another user who listens there would get requests with their tokens.
#[tokio::test]
async fn another_process_on_the_port_of_ipv6_alone_ends_the_start() {
    if !has_ipv6() {
        return;
    }
    let other = TcpListener::bind("[::1]:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("awss.toml");
    fs::write(&config, format!("http_port = {port}\n")).unwrap();
    let mut command = command();
    command.env("AWS_TOKEN", TOKEN).arg("--config").arg(&config);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let expected = format!("port {port} on ::1 cannot be used");
    assert!(
        said.contains(&expected) && said.contains("http_port"),
        "{said}"
    );
}

#[tokio::test]
async fn without_ipv6_the_agent_starts_with_127_0_0_1_and_says_so_at_debug_only() {
    // a new network namespace has no [::1]
    if !Command::new("unshare")
        .args(["-n", "true"])
        .status()
        .is_ok_and(|ended| ended.success())
    {
        skipped("a machine without IPv6: only root makes network namespaces");
        return;
    }
    let (_service, endpoint) = secrets_manager().await;
    for (level, is_said) in [("debug", true), ("info", false)] {
        let mut agent = Agent::start_with(&endpoint, "", "", |command| {
            let config = command.get_args().nth(3).unwrap().to_owned();
            let mut file = fs::OpenOptions::new().append(true).open(config).unwrap();
            writeln!(file, "[logging]\nlog_level = \"{level}\"").unwrap();
            command.env("AWS_TOKEN", TOKEN);
            behind(command, "exec unshare -n \"$@\"");
        });
        let log = agent.whole_log();
        assert_eq!(log.contains("has no [::1]"), is_said, "{log}");
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    }
}
