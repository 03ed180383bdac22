//! Subscribers are notified of a new version.

#![cfg(test)]

mod common;

use common::*;
use std::time::Duration;

use tokio_stream::StreamExt;

#[tokio::test(start_paused = true)]
async fn changed_waits_for_the_next_version_and_finds_it_current() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let changed = tokio::spawn({
        let secret = secret.clone();
        async move { secret.changed().await.unwrap().version().to_owned() }
    });
    settle().await;
    secret.refresh().await.unwrap();
    settle().await;
    assert!(!changed.is_finished(), "the same version is no change");
    provider.current("v2");
    secret.refresh().await.unwrap();
    assert_eq!(changed.await.unwrap(), "v2");
}

#[tokio::test(start_paused = true)]
async fn the_stream_has_every_version_from_now_on_and_ends_with_the_last_handle() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let mut changes = secret.changes();
    for id in ["v2", "v3"] {
        provider.current(id);
        secret.refresh().await.unwrap();
        assert_eq!(changes.next().await.unwrap(), id);
    }
    drop(secret);
    assert_eq!(changes.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn changed_from_misses_no_change_in_a_loop_with_other_work() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let mut seen = "v1".to_owned();
    for next in ["v2", "v3"] {
        // while no task waits
        provider.current(next);
        secret.refresh().await.unwrap();
        let changed = secret.changed_from(&seen).await.unwrap();
        seen = changed.version().to_owned();
        assert_eq!(seen, next);
    }
    let waits = tokio::time::timeout(MINUTE, secret.changed_from(&seen));
    assert!(waits.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_lagging_read_does_not_restore_a_replaced_version_and_a_later_read_does() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let mut changes = secret.changes();
    provider.current("v2");
    secret.refresh().await.unwrap();
    assert_eq!(changes.next().await.unwrap(), "v2");
    // a replica without the change
    provider.current("v1");
    for _ in 0..4 {
        assert_eq!(secret.refresh().await.unwrap().version(), "v2");
        pass(Duration::from_secs(1)).await;
    }
    provider.current("v2");
    pass(MINUTE).await;
    // a person moved AWSCURRENT back: it stays there longer than the store may lag
    provider.current("v1");
    secret.refresh().await.unwrap();
    assert_eq!(changes.next().await.unwrap(), "v1");
    provider.current("v2");
    secret.refresh().await.unwrap();
    assert_eq!(held(&secret), "v1", "now v2 is what was replaced");
    pass(Duration::from_secs(7)).await;
    assert_eq!(
        held(&secret),
        "v2",
        "and it is looked for until it cannot lag"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_client_does_not_accept_a_version_with_an_older_date() {
    let provider = Scripted::new("v1");
    let (older, newer) = (std::time::UNIX_EPOCH, std::time::UNIX_EPOCH + MINUTE);
    provider.answer(version("v2").with_created(newer));
    let secret = secret(&provider).await;
    provider.answer(version("v1").with_created(older));
    assert_eq!(secret.refresh().await.unwrap().version(), "v2");
    provider.answer(version("v3").with_created(newer + MINUTE));
    assert_eq!(secret.refresh().await.unwrap().version(), "v3");
}

#[tokio::test(start_paused = true)]
async fn a_guard_keeps_the_version_that_it_read() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let held = secret.current().unwrap();
    provider.current("v2");
    secret.refresh().await.unwrap();
    assert_eq!(held.version(), "v1");
    assert!(held.password().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_reader_sees_each_change_or_the_end_at_its_next_read() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let mut reader = secret.reader();
    assert_eq!(reader.current().unwrap().version(), "v1");
    provider.current("v2");
    secret.refresh().await.unwrap();
    assert_eq!(reader.current().unwrap().version(), "v2");
    provider.hang(true);
    secret.invalidate("v2");
    assert!(reader.current().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reader_keeps_the_secret_renewed_like_any_other_handle() {
    let provider = Scripted::new("v1");
    let mut reader = secret(&provider).await.reader();
    provider.current("v2");
    pass(5 * MINUTE).await;
    assert_eq!(reader.current().unwrap().version(), "v2");
}
