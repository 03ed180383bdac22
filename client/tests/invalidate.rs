//! `invalidate` drops the given version, and no other one.

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
async fn all_who_see_it_fail_and_do_as_the_error_says_get_the_next_one() {
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
async fn who_invalidates_or_refreshes_all_the_time_does_not_storm_the_provider() {
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
