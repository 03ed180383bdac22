//! Whoever wants to know of a new version is told.

#![cfg(test)]

mod common;

use common::*;
use tokio_stream::StreamExt;

#[tokio::test(start_paused = true)]
async fn changed_waits_for_the_next_version_and_finds_it_in_force() {
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
async fn a_guard_keeps_what_it_read() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let held = secret.current().unwrap();
    provider.current("v2");
    secret.refresh().await.unwrap();
    assert_eq!(held.version(), "v1");
    assert!(held.password().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_reader_sees_each_change_at_its_next_read_and_an_end_too() {
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
