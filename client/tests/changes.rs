//! Whoever wants to know of a new version is told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

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
