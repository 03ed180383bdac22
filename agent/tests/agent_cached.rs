//! A cached answer is made while the head of its request is read. It has the checks, headers and bytes of one that waits.

#![cfg(test)]

mod common;

use common::{Agent, Reply, TOKEN, exchange, secrets_manager, world};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMITED: &str = "a-limited-t0ken";

fn get(id: &str, token: &str) -> String {
    format!("GET /v1/{id} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {token}\r\n\r\n")
}

/// What is left of a head without what differs from one second to the next.
fn lasting(reply: &Reply) -> Vec<&str> {
    let lines = reply.head.lines();
    lines
        .filter(|line| !line.starts_with("date:") && !line.starts_with("x-rotating-secret-age:"))
        .collect()
}

#[tokio::test]
async fn an_answer_from_the_cache_has_the_headers_and_bytes_of_the_one_that_was_waited_for() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let mut kept = world.agent.connect().await;
    let request = get("orders/db", TOKEN);
    let waited = exchange(&mut kept, &request).await.unwrap();
    let asked = world.asked();
    for _ in 0..2 {
        let cached = exchange(&mut kept, &request).await.unwrap();
        assert_eq!(lasting(&cached), lasting(&waited));
        assert_eq!(cached.body, waited.body);
    }
    let forced = world.agent.read("orders/db&refreshNow=true").await;
    assert_eq!(forced.body, waited.body);
    assert_eq!(lasting(&forced), lasting(&waited));
    assert_eq!(world.asked(), asked + 1);
}

#[tokio::test]
async fn requests_that_come_together_are_each_checked_and_answered_in_their_order() {
    let (service, endpoint) = secrets_manager().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, LIMITED).unwrap();
    let own = format!(
        "[[tokens]]\nfile = \"{}\"\nsecrets = [\"orders/*\"]",
        file.display()
    );
    let agent = Agent::start(&endpoint, "", &own);
    let orders = common::create(&service, "orders/db", "one").await;
    let stock = common::create(&service, "stock/db", "two").await;
    // twice: the first time nothing is cached
    for _ in 0..2 {
        let mut stream = agent.connect().await;
        let asked = [
            (get("orders/db", LIMITED), "200"),
            (get("stock/db", LIMITED), "400"),
            (get("stock/db", TOKEN), "200"),
            (get(&stock, LIMITED), "400"),
            (get(&stock[..stock.len() - 7], LIMITED), "400"),
            (get(&orders, LIMITED), "200"),
            (get("ORDERS/db", LIMITED), "400"),
            (get("orders%2Fdb", LIMITED), "400"),
            (get("orders/db", "no-t0ken-of-ours"), "403"),
            (get(&orders[..orders.len() - 7], LIMITED), "200"),
        ];
        let all: String = asked.iter().map(|(request, _)| &**request).collect();
        stream.write_all(all.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        let statuses = answers.split("HTTP/1.1 ").skip(1);
        let statuses: Vec<_> = statuses.map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, asked.each_ref().map(|(_, status)| *status));
    }
}

/// Sends all of it and no more, and reads until the end.
async fn say_all(agent: &Agent, said: &str) -> String {
    let mut stream = agent.connect().await;
    stream.write_all(said.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers).await;
    answers
}

#[tokio::test]
async fn a_client_that_says_no_more_still_gets_its_answers() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    // more than a socket takes at once
    world.create("long", &"\u{1}".repeat(60_000)).await;
    let (short, long) = (get("orders/db", TOKEN), get("long", TOKEN));
    // the first ones wait for Secrets Manager
    for said in [&short, &short, &(short.clone() + &short), &long, &long] {
        let answers = say_all(&world.agent, said).await;
        let answered = answers.matches("HTTP/1.1 200").count();
        assert_eq!(answered, said.matches("HTTP/1.1").count(), "{answers}");
    }
}
