//! `changes`: a program learns of a new version at once, by server-sent events or by a long poll.

#![cfg(test)]

mod common;

use common::{
    Agent, Reply, exchange, secrets_manager, token, until,
    watch::{Events, LIMITED, Limited, token_of},
    world,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

const CHANGES: &str = "/rotating-secret/changes?secretId=orders/db";

async fn poll(agent: &Agent, seen: &str) -> Reply {
    let headers = format!("{}If-None-Match: {seen}\r\n", token());
    agent.request("GET", CHANGES, &headers).await
}

#[tokio::test]
async fn a_stream_has_the_current_version_at_once_then_each_new_one_and_never_a_secret() {
    let world = world("").await;
    let arn = world.create("orders/db", "s3cret-one").await;
    let first = world.agent.read("orders/db").await.json()["VersionId"].clone();
    let mut by_name = Events::open(&world.agent, "orders/db").await;
    let mut by_arn = Events::open(&world.agent, &arn).await;
    for events in [&mut by_name, &mut by_arn] {
        let event = events.next().await.unwrap();
        assert_eq!(
            (&*event.name, &event.data["VersionId"]),
            ("version", &first)
        );
        assert_eq!(event.data["VersionStages"], json!(["AWSCURRENT"]));
        assert!(event.data["CreatedDate"].is_string(), "{event:?}");
    }
    for text in ["s3cret-two", "s3cret-three"] {
        let version = world.put("orders/db", text).await;
        // any reader finds it
        world.agent.read("orders/db&refreshNow=true").await;
        assert_eq!(by_name.version().await, version);
        assert_eq!(by_arn.version().await, version);
    }
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
    ] {
        assert!(by_name.head.contains(header), "{}", by_name.head);
    }
    assert!(!by_name.text.contains("s3cret"), "{}", by_name.text);
}

#[tokio::test]
async fn a_long_poll_answers_at_once_unless_its_etag_is_the_current_version_and_then_with_the_next()
{
    let world = world("").await;
    world.create("orders/db", "s3cret-one").await;
    let first = world.agent.get(CHANGES).await;
    let etag = first.header("etag").unwrap().to_owned();
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(
        etag,
        format!("\"{}\"", first.json()["VersionId"].as_str().unwrap())
    );
    for other in ["\"another\"", "", "another", &etag[1..]] {
        let reply = poll(&world.agent, other).await;
        assert_eq!((reply.status, &reply.body), (200, &first.body), "{other}");
    }
    for form in ["SEEN", "W/SEEN", "\"another\", SEEN"] {
        let read = world.agent.read("orders/db").await;
        let seen = format!("\"{}\"", read.json()["VersionId"].as_str().unwrap());
        let seen = form.replace("SEEN", &seen);
        let changed = async {
            let version = world.put("orders/db", "s3cret-two").await;
            world.agent.read("orders/db&refreshNow=true").await;
            version
        };
        // the request may come before the change or after it
        let (reply, version) = tokio::join!(poll(&world.agent, &seen), changed);
        assert_eq!(
            (reply.status, &reply.json()["VersionId"]),
            (200, &json!(version))
        );
        assert!(!reply.body.contains("s3cret"), "{reply:?}");
    }
}

#[tokio::test]
async fn changes_has_the_same_checks_as_a_read() {
    let (service, endpoint) = secrets_manager().await;
    common::create(&service, "orders/db", "one").await;
    common::create(&service, "stock/db", "one").await;
    let limited = Limited::to("[\"orders/*\"]");
    let agent = Agent::start(&endpoint, "", &limited.table);
    let own = token();
    for (method, target, headers, expected) in [
        ("GET", CHANGES, String::new(), (403, "Bad Token")),
        (
            "GET",
            CHANGES,
            token_of("a-t0ken-of-no-program"),
            (403, "Bad Token"),
        ),
        ("POST", CHANGES, own.clone(), (405, "Not allowed")),
        ("HEAD", CHANGES, own.clone(), (405, "")),
        (
            "GET",
            CHANGES,
            format!("X-Forwarded-For: 10.0.0.1\r\n{own}"),
            (400, "Forwarded"),
        ),
        (
            "GET",
            CHANGES,
            format!("Origin: null\r\n{own}"),
            (403, "Origin"),
        ),
        (
            "GET",
            "/rotating-secret/changes",
            own.clone(),
            (400, "missing parameter secretId"),
        ),
        ("GET", "/rotating-secret/", own.clone(), (404, "Not found")),
        (
            "GET",
            "/rotating-secret/changes/",
            own.clone(),
            (404, "Not found"),
        ),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        assert_eq!(agent.send(&request).await.text(), expected, "{request}");
    }
    let request = format!("GET {CHANGES} HTTP/1.1\r\nHost: evil.example\r\n{own}\r\n");
    assert_eq!(agent.send(&request).await.text(), (400, "Host"));
    for more in ["versionStage=AWSPENDING", "versionId=v1", "refreshNow=true"] {
        let refused = agent.get(&format!("{CHANGES}&{more}")).await;
        assert_eq!(refused.status, 400, "{more}");
        assert!(
            refused.body.contains("it follows AWSCURRENT"),
            "{refused:?}"
        );
    }
    let asked = service.calls().len();
    let of_another = "/rotating-secret/changes?secretId=stock/db";
    for accept in ["", "Accept: text/event-stream\r\n"] {
        let headers = format!("{}{accept}", token_of(LIMITED));
        let refused = agent.request("GET", of_another, &headers).await;
        assert_eq!(
            (refused.status, &refused.json()["__type"]),
            (400, &json!("AccessDeniedException"))
        );
    }
    assert_eq!(service.calls().len(), asked);
    let absent = agent.get("/rotating-secret/changes?secretId=absent").await;
    assert_eq!(absent.json()["__type"], "ResourceNotFoundException");
    // names live below /v1/
    let name = agent.get("/v1/rotating-secret/changes").await;
    assert_eq!(name.json()["__type"], "ResourceNotFoundException");
}

#[tokio::test]
async fn a_deleted_secret_ends_its_stream_and_its_long_poll_with_the_reason() {
    let world = world("[capabilities.secrets_manager.cache]\nttl_seconds = 1").await;
    world.create("orders/db", "one").await;
    let mut events = Events::open(&world.agent, "orders/db").await;
    let version = events.version().await;
    let delete = json!({ "SecretId": "orders/db", "ForceDeleteWithoutRecovery": true });
    let seen = format!("\"{version}\"");
    let deleted = world.service.call("DeleteSecret", delete);
    let (polled, deleted) = tokio::join!(poll(&world.agent, &seen), deleted);
    deleted.unwrap();
    let ended = events.next().await.unwrap();
    for told in [&ended.data, &polled.json()] {
        assert_eq!(told["__type"], "ResourceNotFoundException", "{told}");
    }
    assert_eq!(ended.name, "end");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_token_that_is_replaced_ends_its_streams_and_no_others() {
    let (service, endpoint) = secrets_manager().await;
    common::create(&service, "orders/db", "one").await;
    let limited = Limited::to("[\"orders/*\"]");
    let agent = Agent::start(&endpoint, "", &limited.table);
    let mut own = Events::open(&agent, "orders/db").await;
    let mut of_the_program = Events::open_with(&agent, "orders/db", &token_of(LIMITED)).await;
    let version = own.version().await;
    assert_eq!(of_the_program.version().await, version);
    limited.set("another-t0ken-of-that-program");
    let ended = of_the_program.next().await.unwrap();
    assert_eq!(
        (&*ended.name, &ended.data["__type"]),
        ("end", &json!("AccessDeniedException"))
    );
    let version = common::put(&service, "orders/db", "two").await;
    agent.read("orders/db&refreshNow=true").await;
    assert_eq!(own.version().await, version);
}

#[tokio::test]
async fn two_thousand_streams_of_one_token_leave_room_for_readers_and_for_the_streams_of_others() {
    let (service, endpoint) = secrets_manager().await;
    common::create(&service, "orders/db", "one").await;
    let limited = Limited::to("[\"orders/*\"]");
    let agent = Agent::start(&endpoint, "max_conn = 40", &limited.table);
    let mut held = Vec::new();
    for number in 0..2000 {
        let events = Events::open_with(&agent, "orders/db", &token_of(LIMITED)).await;
        // half of max_conn, in equal parts for two tokens
        let status = if number < 10 {
            "HTTP/1.1 200"
        } else {
            "HTTP/1.1 429"
        };
        assert!(events.head.starts_with(status), "{number}: {}", events.head);
        if number >= 10 {
            assert!(events.head.contains("connection: close"), "{}", events.head);
            assert!(events.head.contains("retry-after: 1"), "{}", events.head);
        }
        held.push(events);
    }
    let mut own = Vec::new();
    for _ in 0..10 {
        own.push(Events::open(&agent, "orders/db").await);
    }
    assert_eq!(agent.get(CHANGES).await.status, 429);
    let version = common::put(&service, "orders/db", "two").await;
    assert_eq!(agent.read("orders/db&refreshNow=true").await.value(), "two");
    for events in own.iter_mut().chain(&mut held[..10]) {
        while events.version().await != version {}
    }
    // a closed stream gives its place back
    held.clear();
    until(async || {
        let events = Events::open_with(&agent, "orders/db", &token_of(LIMITED)).await;
        events.head.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_program_that_does_not_read_its_stream_delays_no_other_and_later_finds_the_current_version()
 {
    let world = world("").await;
    world.create("orders/db", "one").await;
    let mut unread = Events::open(&world.agent, "orders/db").await;
    let mut read = Events::open(&world.agent, "orders/db").await;
    let mut version = read.version().await;
    for number in 0..12 {
        version = world.put("orders/db", &format!("{number}")).await;
        world.agent.read("orders/db&refreshNow=true").await;
        assert_eq!(read.version().await, version);
    }
    while unread.version().await != version {}
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_long_polls_at_once_and_cuts_nothing() {
    // two places for watches
    let mut world = world("max_conn = 4").await;
    world.create("orders/db", "one").await;
    let mut events = Events::open(&world.agent, "orders/db").await;
    let version = events.version().await;
    let mut stream = world.agent.connect().await;
    let request = format!(
        "GET {CHANGES} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"{version}\"\r\n{}\r\n",
        token()
    );
    let pid = Pid::from_raw(world.agent.pid());
    let polled = exchange(&mut stream, &request);
    let told = async {
        // the poll has the second one
        until(async || (world.agent.get(CHANGES).await.status == 429).then_some(())).await;
        kill(pid, Signal::SIGTERM).unwrap();
    };
    let (polled, ()) = tokio::join!(polled, told);
    assert_eq!(polled.unwrap().status, 304);
    assert!(events.next().await.is_none());
    until(async || world.agent.has_ended().then_some(())).await;
    let log = world.agent.whole_log();
    assert!(!log.contains("were cut"), "{log}");
}
