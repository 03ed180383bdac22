//! `rejected`: after a rejected login a program gets the version to try next, and the other programs get nothing of it.

#![cfg(test)]

mod common;

use common::{
    Agent, Reply, World, create, exchange, secrets_manager, token, until,
    watch::{LIMITED, Limited, token_of},
    world,
};
use futures_util::future::join_all;
use local::secrets_manager::SecretsManager;
use serde_json::json;

async fn rejected_as(agent: &Agent, headers: &str, query: &str) -> Reply {
    let target = format!("/rotating-secret/rejected?secretId={query}");
    agent.request("POST", &target, headers).await
}

async fn rejected(agent: &Agent, query: &str) -> Reply {
    rejected_as(agent, &token(), query).await
}

/// Makes a version pending, as a rotation does, and returns its id.
async fn pend(service: &SecretsManager, text: &str) -> String {
    let input =
        json!({ "SecretId": "orders/db", "SecretString": text, "VersionStages": ["AWSPENDING"] });
    let put = service.call("PutSecretValue", input).await.unwrap();
    put["VersionId"].as_str().unwrap().to_owned()
}

/// The version that readers get.
async fn current(world: &World) -> String {
    let read = world.agent.read("orders/db").await.json();
    read["VersionId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn after_a_rejection_the_caller_gets_awspending_and_every_reader_still_gets_awscurrent() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let first = current(&world).await;
    let pending = pend(&world.service, "two").await;
    let next = rejected(&world.agent, &format!("orders/db&versionId={first}")).await;
    assert_eq!((next.status, next.value()), (200, "two".to_owned()));
    assert_eq!(next.json()["VersionId"], *pending);
    assert_eq!(next.json()["VersionStages"], json!(["AWSPENDING"]));
    assert_eq!(next.header("cache-control"), Some("no-store"));
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    let by_sdk = world
        .agent
        .call("GetSecretValue", json!({ "SecretId": "orders/db" }));
    assert_eq!(by_sdk.await.value(), "one");
    // the server rejects AWSPENDING too, for example if setSecret has not come to it
    let next = rejected(&world.agent, &format!("orders/db&versionId={pending}")).await;
    assert_eq!(next.value(), "one");
}

#[tokio::test]
async fn after_a_rejection_awscurrent_is_read_again_and_a_cached_one_that_was_not_rejected_is_served()
 {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let first = current(&world).await;
    let second = world.put("orders/db", "two").await;
    let asked = world.asked();
    let next = rejected(&world.agent, &format!("orders/db&versionId={first}")).await;
    assert_eq!(next.json()["VersionId"], *second);
    assert_eq!(world.asked(), asked + 1);
    for _ in 0..200 {
        let next = rejected(&world.agent, &format!("orders/db&versionId={first}")).await;
        assert_eq!(
            (next.status, &next.json()["VersionId"]),
            (200, &json!(second))
        );
    }
    assert_eq!(world.asked(), asked + 1);
}

#[tokio::test]
async fn a_caller_waits_for_a_version_that_comes_late_and_learns_when_there_is_none() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let first = current(&world).await;
    let query = format!("orders/db&versionId={first}");
    let late = async {
        let asked = world.asked();
        until(async || (world.asked() > asked + 2).then_some(())).await;
        world.put("orders/db", "two").await
    };
    let (next, second) = tokio::join!(rejected(&world.agent, &query), late);
    assert_eq!(next.json()["VersionId"], *second);
    let pending = pend(&world.service, "three").await;
    let all = format!("{query}&versionId={second}&versionId={pending}");
    let nothing = rejected(&world.agent, &all).await;
    assert_eq!(nothing.status, 409);
    assert!(nothing.body.contains("rotate the secret"), "{nothing:?}");
}

#[tokio::test]
async fn a_throttled_question_does_not_end_the_search() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let first = current(&world).await;
    pend(&world.service, "two").await;
    let query = format!("orders/db&versionId={first}");
    world.fail(400, "ThrottlingException", 4);
    let next = rejected(&world.agent, &query).await;
    assert_eq!((next.status, next.value()), (200, "two".to_owned()));
    world.fail(400, "ThrottlingException", 1000);
    let refused = rejected(&world.agent, &query).await;
    assert_eq!(refused.json()["__type"], "ThrottlingException");
}

#[tokio::test]
async fn a_hostile_program_with_another_token_changes_nothing_for_others_and_uses_up_its_own_budget_alone()
 {
    let (service, endpoint) = secrets_manager().await;
    create(&service, "orders/db", "one").await;
    create(&service, "stock/db", "one").await;
    let limited = Limited::to("[\"orders/*\"]");
    let agent = Agent::start(&endpoint, "", &limited.table);
    let first = agent.read("orders/db").await.json()["VersionId"].clone();
    let query = format!("orders/db&versionId={}", first.as_str().unwrap());
    pend(&service, "two").await;
    let asked = service.calls().len();
    let hostile = token_of(LIMITED);
    let replies = join_all((0..300).map(|_| rejected_as(&agent, &hostile, &query))).await;
    let (served, refused): (Vec<_>, Vec<_>) =
        replies.into_iter().partition(|reply| reply.status == 200);
    assert!(served.len() >= 60, "{}", served.len());
    assert_eq!(refused[0].status, 429);
    assert_eq!(refused[0].header("retry-after"), Some("1"));
    // many callers share a question
    let asked = service.calls().len() - asked;
    assert!(asked < 2 * served.len(), "{asked} for {}", served.len());
    // another program has a budget of its own
    assert_eq!(rejected(&agent, &query).await.value(), "two");
    assert_eq!(agent.read("orders/db").await.value(), "one");
    let of_another = rejected_as(&agent, &hostile, "stock/db&versionId=v1").await;
    assert_eq!(of_another.json()["__type"], "AccessDeniedException");
}

#[tokio::test]
async fn rejected_has_the_same_checks_as_a_read() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let first = current(&world).await;
    let target = format!("/rotating-secret/rejected?secretId=orders/db&versionId={first}");
    let asked = world.asked();
    for (method, more, expected) in [
        ("POST", String::new(), (403, "Bad Token")),
        (
            "POST",
            token_of("a-t0ken-of-no-program"),
            (403, "Bad Token"),
        ),
        ("GET", token(), (405, "Not allowed")),
        (
            "POST",
            format!("X-Forwarded-For: 10.0.0.1\r\n{}", token()),
            (400, "Forwarded"),
        ),
        (
            "POST",
            format!("Origin: null\r\n{}", token()),
            (403, "Origin"),
        ),
    ] {
        let refused = world.agent.request(method, &target, &more).await;
        assert_eq!(refused.text(), expected, "{method} {more}");
    }
    for query in [
        "orders/db",
        "orders/db&versionId=v1&versionStage=AWSPENDING",
        "orders/db&versionId=v1&refreshNow=true",
        "&versionId=v1",
        "orders/db&versionId=%00",
    ] {
        assert_eq!(rejected(&world.agent, query).await.status, 400, "{query}");
    }
    assert_eq!(world.asked(), asked);
    let absent = rejected(&world.agent, "absent&versionId=v1").await;
    assert_eq!(absent.json()["__type"], "ResourceNotFoundException");
    // the body is not read, and its end does not become a request
    let mut stream = world.agent.connect().await;
    let request = format!(
        "POST {target}x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n{}\r\nbody",
        token()
    );
    assert_eq!(
        exchange(&mut stream, &request).await.unwrap().value(),
        "one"
    );
}
