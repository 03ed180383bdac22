//! A version that somebody knows to be bad is dropped, and no other one.

#![cfg(test)]

mod common;

use common::*;
use rotating_secret::Error;

#[tokio::test(start_paused = true)]
async fn the_version_that_is_dropped_is_not_served_again_before_the_provider_has_confirmed_it() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.hang(true);
    secret.invalidate("v1");
    assert!(matches!(secret.current(), Err(Error::Invalidated { .. })));
    provider.hang(false);
    assert_eq!(secret.usable().await.unwrap().version(), "v1");
}

#[tokio::test(start_paused = true)]
async fn another_version_than_the_one_in_force_is_left_alone() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    secret.invalidate("v0");
    assert_eq!(held(&secret), "v1");
    settle().await;
    assert_eq!(provider.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_question_from_before_does_not_bring_it_back() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.hang(true);
    let refreshed = tokio::spawn({
        let secret = secret.clone();
        async move { secret.refresh().await.map(drop) }
    });
    provider.asked_times(2).await;
    pass(MINUTE / 60).await;
    secret.invalidate("v1");
    provider.current("v2");
    provider.hang(false);
    assert_eq!(secret.usable().await.unwrap().version(), "v2");
    let _ = refreshed.await.unwrap();
}
