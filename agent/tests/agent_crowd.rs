//! Connections compete: many silent ones, probes, and the agent's end.

#![cfg(test)]

mod common;

use common::{exchange, reply, token, until, world};
use local::secrets_manager::{Behavior, Hang, When};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

const PING: &str = "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn get() -> String {
    format!(
        "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        token()
    )
}

#[tokio::test]
async fn connections_without_the_token_keep_out_none_that_has_it() {
    let world = world("max_conn = 20").await;
    world.create("orders/db", "one").await;
    let mut crowd = Vec::new();
    for number in 0..500 {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", world.agent.port)).await else {
            continue;
        };
        match number % 3 {
            // a silent connection
            0 => {}
            // a connection that stays open after a request
            1 => drop(exchange(&mut stream, PING).await),
            // half a head, without the token
            _ => stream
                .write_all(b"GET /v1/orders/db HTTP/1.1\r\nHost: ")
                .await
                .unwrap(),
        }
        crowd.push(stream);
    }
    for _ in 0..50 {
        assert_eq!(world.agent.read("orders/db").await.value(), "one");
    }
}

#[tokio::test]
async fn a_probe_is_answered_while_every_connection_is_in_use() {
    let world = world("max_conn = 3").await;
    world.create("orders/db", "one").await;
    let mut served = Vec::new();
    for _ in 0..3 {
        let mut stream = world.agent.connect().await;
        assert_eq!(exchange(&mut stream, &get()).await.unwrap().status, 200);
        served.push(stream);
    }
    // more open probes than there is room for
    let mut probes = Vec::new();
    for _ in 0..100 {
        let mut probe = world.agent.connect().await;
        let healthy = exchange(&mut probe, PING).await.unwrap();
        assert_eq!(healthy.text(), (200, "healthy"));
        probes.push(probe);
    }
    let refused = world.agent.read("orders/db").await;
    assert_eq!(refused.text(), (429, "Connection limit exceeded"));
    for stream in &mut served {
        assert_eq!(exchange(stream, &get()).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn an_sdk_gets_an_error_of_its_own_protocol_when_all_connections_are_in_use() {
    let world = world("max_conn = 1").await;
    world.create("orders/db", "one").await;
    let mut served = world.agent.connect().await;
    exchange(&mut served, &get()).await.unwrap();
    let input = serde_json::json!({ "SecretId": "orders/db" });
    let refused = world.agent.call("GetSecretValue", input).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["__type"], "ThrottlingException");
    assert_eq!(refused.header("connection"), Some("close"));
}

#[tokio::test]
async fn at_its_end_silent_connections_are_not_waited_for_and_new_ones_are_refused() {
    let mut world = world("").await;
    world.create("orders/db", "one").await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(world.agent.connect().await);
    }
    // half a head, from a client without the token
    let mut half = world.agent.connect().await;
    half.write_all(b"GET /v1/orders/db HTTP/1.1\r\nHost: ")
        .await
        .unwrap();
    // a connection that stays open after a request
    let mut kept = world.agent.connect().await;
    exchange(&mut kept, PING).await.unwrap();
    let hang = Hang::default();
    world.inject(Behavior::Hang(When::BeforeEffect, hang.clone()), 1);
    let mut under_way = world.agent.connect().await;
    under_way.write_all(get().as_bytes()).await.unwrap();
    hang.reached().await;
    // a client that says no more, but waits for its answer
    let mut said_all = world.agent.connect().await;
    said_all.write_all(get().as_bytes()).await.unwrap();
    said_all.shutdown().await.unwrap();
    exchange(&mut kept, PING).await.unwrap();
    kill(Pid::from_raw(world.agent.pid()), Signal::SIGTERM).unwrap();
    let port = world.agent.port;
    until(async || TcpStream::connect(("127.0.0.1", port)).await.err()).await;
    hang.release();
    for stream in [&mut under_way, &mut said_all] {
        assert_eq!(reply(stream, false).await.unwrap().value(), "one");
    }
    until(async || world.agent.has_ended().then_some(())).await;
    let log = world.agent.whole_log();
    assert!(!log.contains("were cut"), "{log}");
}

#[tokio::test]
async fn ids_that_nobody_has_displace_no_version_from_the_cache() {
    let world = world("[capabilities.secrets_manager.cache]\ncache_size = 5").await;
    for name in ["a", "b", "c"] {
        world.create(name, name).await;
        assert_eq!(world.agent.read(name).await.value(), name);
    }
    for number in 0..50 {
        let absent = world.agent.read(&format!("absent-{number}")).await;
        assert_eq!(absent.status, 400);
        let absent = format!("a&versionStage=absent-{number}");
        assert_eq!(world.agent.read(&absent).await.status, 400);
    }
    let asked = world.asked();
    for name in ["a", "b", "c"] {
        assert_eq!(world.agent.read(name).await.value(), name);
    }
    assert_eq!(world.asked(), asked);
}
