//! How fresh a served version is, how old it may get, and how many calls it costs.

#![cfg(test)]

mod common;

use std::time::{Duration, Instant};

use common::{World, token, until, world};
use local::secrets_manager::{Behavior, ServiceError, When};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

const SHORT: &str = "[capabilities.secrets_manager.cache]\nttl_seconds = 1";

/// Reads until this text is served.
async fn until_served(world: &World, text: &str) {
    until(async || {
        let read = world.agent.read("orders/db").await;
        (read.status == 200 && read.value() == text).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_thousand_readers_of_a_new_secret_make_one_call() {
    let world = world("max_conn = 1000").await;
    world.create("orders/db", "one").await;
    world.inject(Behavior::Delay(Duration::from_millis(300)), 1);
    let reads = (0..1000).map(|_| world.agent.read("orders/db"));
    let read = futures_util::future::join_all(reads).await;
    assert!(
        read.iter()
            .all(|read| read.status == 200 && read.value() == "one")
    );
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn a_thousand_readers_of_an_absent_secret_make_one_call_a_second() {
    let world = world("max_conn = 1000").await;
    world.inject(Behavior::Delay(Duration::from_millis(300)), 1);
    let began = Instant::now();
    let reads = (0..1000).map(|_| world.agent.read("orders/db"));
    let read = futures_util::future::join_all(reads).await;
    assert!(
        read.iter()
            .all(|read| read.body.contains("ResourceNotFound"))
    );
    let allowed = 1 + began.elapsed().as_secs() as usize;
    assert!(world.asked() <= allowed, "{} of {allowed}", world.asked());
}

#[tokio::test]
async fn a_new_version_is_fetched_in_the_background_and_no_reader_waits_for_it() {
    let world = world(SHORT).await;
    world.create("orders/db", "one").await;
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    world.put("orders/db", "two").await;
    // every upstream call takes longer than a read may, and longer than the lifetime
    let late = Duration::from_millis(1500);
    world.inject(Behavior::Delay(late), 1000);
    let mut slowest = Duration::ZERO;
    until(async || {
        let began = Instant::now();
        let read = world.agent.read("orders/db").await;
        slowest = slowest.max(began.elapsed());
        (read.value() == "two").then_some(())
    })
    .await;
    assert!(slowest < late, "{slowest:?}");
}

#[tokio::test]
async fn a_name_an_arn_a_partial_arn_and_an_explicit_awscurrent_are_one_entry_in_any_order() {
    for first in 0..4 {
        let world = world("").await;
        let arn = world.create("orders/db", "one").await;
        let mut ids = [
            "orders/db",
            &arn,
            &arn[..arn.len() - 7],
            "orders/db&versionStage=AWSCURRENT",
        ];
        ids.rotate_left(first);
        for id in ids {
            assert_eq!(world.agent.read(id).await.value(), "one", "{id}");
        }
        assert_eq!(world.agent.get(&format!("/v1/{arn}")).await.value(), "one");
        assert_eq!(world.asked(), 1, "{} first", ids[0]);
    }
}

#[tokio::test]
async fn what_one_spelling_refreshes_is_there_for_the_others() {
    let world = world("").await;
    let arn = world.create("orders/db", "one").await;
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    world.put("orders/db", "two").await;
    assert_eq!(
        world
            .agent
            .read(&format!("{arn}&refreshNow=true"))
            .await
            .value(),
        "two"
    );
    assert_eq!(world.agent.read("orders/db").await.value(), "two");
}

#[tokio::test]
async fn an_absent_label_is_reported_and_costs_the_current_version_no_call() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    let pending = "orders/db&versionStage=AWSPENDING";
    let absent = world.agent.read(pending).await;
    assert!(
        absent.body.contains("ResourceNotFoundException"),
        "{absent:?}"
    );
    let asked = world.asked();
    for _ in 0..10 {
        assert_eq!(world.agent.read("orders/db").await.value(), "one");
    }
    assert_eq!((asked, world.asked()), (2, 2));
}

#[tokio::test]
async fn the_labels_of_a_version_are_correct_after_a_rotation() {
    let world = world(SHORT).await;
    world.create("orders/db", "one").await;
    let version = world.agent.read("orders/db").await.json()["VersionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let by_id = format!("orders/db&versionId={version}");
    assert_eq!(
        world.agent.read(&by_id).await.json()["VersionStages"],
        json!(["AWSCURRENT"])
    );
    world.put("orders/db", "two").await;
    until(async || {
        let stages = world.agent.read(&by_id).await.json()["VersionStages"].clone();
        (stages == json!(["AWSPREVIOUS"])).then_some(())
    })
    .await;
    until_served(&world, "two").await;
}

#[tokio::test]
async fn refresh_now_makes_one_call_for_all_readers_and_is_limited() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    world.agent.read("orders/db").await;
    world.put("orders/db", "two").await;
    let refreshed = world.agent.read("orders/db&refreshNow=1").await;
    assert_eq!(refreshed.value(), "two");
    let before = world.asked();
    world.inject(Behavior::Delay(Duration::from_millis(200)), 1);
    let reads = (0..200).map(|_| world.agent.read("orders/db&refreshNow=true"));
    let began = Instant::now();
    futures_util::future::join_all(reads).await;
    // ten at once, then one a second
    let allowed = 10 + began.elapsed().as_secs() as usize;
    let asked = world.asked() - before;
    assert!(asked <= allowed.min(20), "{asked}");
}

#[tokio::test]
async fn one_after_another_refresh_now_is_ten_calls_at_once_and_then_one_a_second() {
    let world = world("").await;
    world.create("orders/db", "one").await;
    world.agent.read("orders/db").await;
    let (before, began) = (world.asked(), Instant::now());
    for _ in 0..14 {
        let read = world.agent.read("orders/db&refreshNow=true").await;
        assert_eq!(read.value(), "one");
    }
    let allowed = 11 + began.elapsed().as_secs() as usize;
    let asked = world.asked() - before;
    assert!(asked <= allowed, "{asked} of {allowed}");
}

#[tokio::test]
async fn a_failed_refresh_is_reported_and_the_cached_value_stays_through_throttling_and_early_closes()
 {
    let world = world("").await;
    world.create("orders/db", "one").await;
    world.agent.read("orders/db").await;
    for behavior in [
        Behavior::Drop(When::BeforeEffect),
        error(400, "ThrottlingException"),
        error(500, "InternalServiceError"),
        error(503, "ServiceUnavailable"),
    ] {
        world.service.clear_faults(None);
        world.inject(behavior.clone(), 1000);
        let failed = world.agent.read("orders/db&refreshNow=true").await;
        assert_ne!(failed.status, 200, "{behavior:?}");
        assert_eq!(
            world.agent.read("orders/db").await.value(),
            "one",
            "{behavior:?}"
        );
    }
}

fn error(status: u16, code: &str) -> Behavior {
    Behavior::Error(ServiceError {
        status,
        code: code.into(),
        message: "as it was told".into(),
    })
}

#[tokio::test]
async fn a_stale_answer_is_marked_and_ends_before_the_overlap_window() {
    let (service, endpoint) = common::secrets_manager().await;
    let agent = common::Agent::start(&endpoint, SHORT, "overlap_window = \"3s\"");
    let world = World {
        service,
        endpoint,
        agent,
    };
    world.create("orders/db", "one").await;
    let fresh = world.agent.read("orders/db").await;
    let read = Instant::now();
    assert_eq!(fresh.header("x-rotating-secret-stale"), None);
    world.inject(Behavior::Drop(When::BeforeEffect), 100_000);
    let stale = until(async || {
        let read = world.agent.read("orders/db").await;
        read.header("x-rotating-secret-stale")
            .is_some()
            .then_some(read)
    })
    .await;
    assert_eq!((stale.value().as_str(), stale.status), ("one", 200));
    assert!(stale.header("x-rotating-secret-age").unwrap() >= "1");
    let ended =
        until(async || Some(world.agent.read("orders/db").await).filter(|read| read.status != 200))
            .await;
    assert_eq!(ended.status, 502, "{ended:?}");
    assert!(read.elapsed() > Duration::from_secs(2));
    world.service.clear_faults(None);
    until_served(&world, "one").await;
}

#[tokio::test]
async fn without_stale_answers_an_outage_is_an_error_when_the_lifetime_is_over() {
    let lines = format!("ignore_transient_errors = false\n{SHORT}");
    let world = world(&lines).await;
    world.create("orders/db", "one").await;
    world.agent.read("orders/db").await;
    world.inject(Behavior::Drop(When::BeforeEffect), 100_000);
    let told =
        until(async || Some(world.agent.read("orders/db").await).filter(|read| read.status != 200))
            .await;
    assert_eq!(told.status, 502);
}

#[tokio::test]
async fn a_denied_or_deleted_secret_is_dropped_within_one_lifetime_and_returns_when_it_is_allowed()
{
    let world = world(SHORT).await;
    world.create("orders/db", "one").await;
    for code in [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "InvalidRequestException",
        "DecryptionFailure",
        // errors of the agent's own credentials: a revoked key gives only these
        "ExpiredTokenException",
        "UnrecognizedClientException",
    ] {
        until_served(&world, "one").await;
        world.fail(400, code, 100_000);
        let began = Instant::now();
        let ended = until(async || {
            Some(world.agent.read("orders/db").await).filter(|read| read.status != 200)
        })
        .await;
        assert!(ended.body.contains(code), "{ended:?}");
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "not within the lifetime of one second"
        );
        world.service.clear_faults(None);
    }
    until_served(&world, "one").await;
}

#[tokio::test]
async fn a_name_leads_to_the_new_secret_after_the_old_one_was_deleted_and_created_again() {
    let world = world("").await;
    let old = world.create("orders/db", "one").await;
    world.agent.read(&old).await;
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    let gone = json!({ "SecretId": "orders/db", "ForceDeleteWithoutRecovery": true });
    world.service.call("DeleteSecret", gone).await.unwrap();
    let new = until(async || {
        let input = json!({ "Name": "orders/db", "SecretString": "two" });
        world.service.call("CreateSecret", input).await.ok()
    })
    .await["ARN"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(old, new);
    // the entry still asks by the ARN of its first read
    let read = until(async || {
        Some(world.agent.read("orders/db&refreshNow=true").await).filter(|read| read.status == 200)
    })
    .await;
    assert_eq!(read.value(), "two");
    assert_eq!(world.agent.read("orders/db").await.value(), "two");
    assert_eq!(world.agent.read(&new).await.value(), "two");
    assert_eq!(world.agent.read(&old).await.status, 400);
}

#[tokio::test]
async fn after_a_freeze_longer_than_the_lifetime_the_first_answer_is_the_new_version() {
    let world = world(SHORT).await;
    world.create("orders/db", "one").await;
    assert_eq!(world.agent.read("orders/db").await.value(), "one");
    let pid = Pid::from_raw(world.agent.pid());
    for text in ["two", "three"] {
        kill(pid, Signal::SIGSTOP).unwrap();
        world.put("orders/db", text).await;
        let frozen = Instant::now();
        until(async || (frozen.elapsed() > Duration::from_millis(1500)).then_some(())).await;
        // the request is waiting when the process continues
        let mut stream = world.agent.connect().await;
        let request = format!(
            "GET /v1/orders/db HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            token()
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        kill(pid, Signal::SIGCONT).unwrap();
        let first = common::reply(&mut stream, false).await.unwrap();
        assert_eq!(first.value(), text);
    }
}

#[tokio::test]
async fn a_full_cache_drops_the_secret_that_was_read_least_recently() {
    let world = world("[capabilities.secrets_manager.cache]\ncache_size = 2").await;
    for name in ["a", "b", "c"] {
        world.create(name, name).await;
    }
    for (name, asked) in [
        ("a", 1),
        ("b", 2),
        ("a", 2),
        ("c", 3),
        ("a", 3),
        ("b", 4),
        ("b", 4),
    ] {
        assert_eq!(world.agent.read(name).await.value(), name);
        assert_eq!(world.asked(), asked, "after {name}");
    }
}

#[tokio::test]
async fn before_it_ends_the_agent_answers_the_requests_in_progress() {
    let mut world = world("").await;
    world.create("orders/db", "one").await;
    let hang = local::secrets_manager::Hang::default();
    world.inject(Behavior::Hang(When::BeforeEffect, hang.clone()), 1);
    let pid = Pid::from_raw(world.agent.pid());
    let (read, ()) = tokio::join!(world.agent.read("orders/db"), async {
        hang.reached().await;
        kill(pid, Signal::SIGTERM).unwrap();
        hang.release();
    });
    assert_eq!(read.value(), "one");
    until(async || world.agent.has_ended().then_some(())).await;
}
