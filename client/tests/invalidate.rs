//! `invalidate` drops the given version, and no other one.

#![cfg(test)]

mod common;

use common::*;
use rotating_secret::Error;

#[tokio::test(start_paused = true)]
async fn an_invalidated_version_is_not_served_again_until_the_provider_confirms_it() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.hang(true);
    secret.invalidate("v1");
    assert!(matches!(secret.current(), Err(Error::Invalidated { .. })));
    provider.hang(false);
    assert_eq!(secret.usable().await.unwrap().version(), "v1");
}

#[tokio::test(start_paused = true)]
async fn every_caller_that_follows_the_error_gets_the_next_version() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let callers: Vec<_> = (0..400)
        .map(|number| {
            let secret = secret.clone();
            tokio::spawn(async move {
                for _ in 0..number % 7 {
                    tokio::task::yield_now().await;
                }
                secret.invalidate("v1");
                secret.usable().await.map(|next| next.version().to_owned())
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "v1");
    }
    assert!(provider.asked().len() <= 3, "{:?}", provider.asked());
}

#[tokio::test(start_paused = true)]
async fn constant_invalidation_or_refresh_does_not_flood_the_provider() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < MINUTE {
        secret.invalidate("v1");
        let _ = secret.usable().await;
        tokio::time::advance(MINUTE / 6000).await;
    }
    assert!(
        (50..70).contains(&provider.asked().len()),
        "{}",
        provider.asked().len()
    );
    let (begun, asked) = (tokio::time::Instant::now(), provider.asked().len());
    while begun.elapsed() < MINUTE {
        secret.refresh().await.unwrap();
    }
    let asked = provider.asked().len() - asked;
    assert!((60..80).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn invalidation_of_a_version_that_is_not_current_changes_nothing() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    secret.invalidate("v0");
    assert_eq!(held(&secret), "v1");
    settle().await;
    assert_eq!(provider.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_an_earlier_request_does_not_restore_an_invalidated_version() {
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
