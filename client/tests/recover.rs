//! A login that the server rejects: one question for all, and the order in which versions are tried.

#![cfg(test)]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::*;
use rotating_secret::{
    Attempt, CredentialGuard, Error, LogInError, RotatingSecret,
    provider::{
        ProviderErrorKind as Kind,
        Stage::{self, Current, Pending},
    },
};

/// What the provider was asked for since the first fetch.
fn questions(provider: &Scripted) -> Vec<Stage> {
    provider.stages().split_off(1)
}

#[tokio::test(start_paused = true)]
async fn awscurrent_is_asked_for_first() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
    assert_eq!(questions(&provider), [Current]);
    assert_eq!(held(&secret), "v2");
}

#[tokio::test(start_paused = true)]
async fn then_awspending_between_setsecret_and_finishsecret() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.pending("v2");
    let next = secret.recover("v1").await.unwrap();
    assert_eq!((next.version(), next.stage()), ("v2", Pending));
    assert_eq!(questions(&provider), [Current, Pending]);
    assert_eq!(held(&secret), "v2");
}

#[tokio::test(start_paused = true)]
async fn then_awscurrent_again_for_a_rotation_that_ended_between_the_two() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.promote_meanwhile("v2");
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
    assert_eq!(questions(&provider), [Current, Pending, Current]);
}

#[tokio::test(start_paused = true)]
async fn nothing_but_what_was_rejected_is_an_error_that_says_what_to_do() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let error = secret.recover("v1").await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("rotate"), "{error}");
    assert_eq!(questions(&provider), [Current, Pending, Current]);
    assert_eq!(held(&secret), "v1", "it is in force by the provider's word");
}

#[tokio::test(start_paused = true)]
async fn who_comes_with_an_older_version_than_the_one_in_force_gets_that_without_a_question() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    assert_eq!(secret.recover("v0").await.unwrap().version(), "v1");
    assert!(questions(&provider).is_empty());
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_are_answered_by_one_question() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    let waiting: Vec<_> = (0..500)
        .map(|_| {
            let secret = secret.clone();
            tokio::spawn(async move { secret.recover("v1").await.unwrap().version().to_owned() })
        })
        .collect();
    for waits in waiting {
        assert_eq!(waits.await.unwrap(), "v2");
    }
    assert_eq!(questions(&provider), [Current]);
}

#[tokio::test(start_paused = true)]
async fn who_asks_while_the_question_is_under_way_gets_its_answer_too() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    provider.hang(true);
    let ask = || {
        let secret = secret.clone();
        tokio::spawn(async move { secret.recover("v1").await.unwrap().version().to_owned() })
    };
    let first = ask();
    provider.asked_times(2).await;
    let second = ask();
    settle().await;
    provider.hang(false);
    assert_eq!(
        (first.await.unwrap(), second.await.unwrap()),
        ("v2".to_owned(), "v2".to_owned())
    );
    assert_eq!(questions(&provider), [Current]);
}

#[tokio::test(start_paused = true)]
async fn while_every_version_is_rejected_the_provider_is_not_stormed() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    for _ in 0..1000 {
        assert!(matches!(
            secret.recover("v1").await,
            Err(Error::Rejected { .. })
        ));
    }
    assert!(
        questions(&provider).len() <= 30,
        "{}",
        questions(&provider).len()
    );
    // it is not forgotten either: the password was set back by hand, or a rotation has come
    provider.current("v2");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_gives_no_answer_is_an_error_and_not_a_rejection() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.fail(Kind::Unavailable);
    let error = secret.recover("v1").await.unwrap_err();
    assert!(matches!(error, Error::Provider { .. }), "{error}");
    assert_eq!(held(&secret), "v1");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_does_not_bring_back_what_was_rejected_while_the_other_is_still_pending() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.pending("v2");
    secret.recover("v1").await.unwrap();
    secret.refresh().await.unwrap();
    assert_eq!(held(&secret), "v2");
    // finishSecret
    provider.current("v2");
    provider.nothing_pending();
    assert_eq!(secret.refresh().await.unwrap().stage(), Current);
    assert_eq!(held(&secret), "v2");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_abandoned_leads_back_to_awscurrent() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.pending("v2");
    secret.recover("v1").await.unwrap();
    provider.nothing_pending();
    secret.refresh().await.unwrap();
    assert_eq!(held(&secret), "v1");
}

#[derive(Debug, thiserror::Error)]
#[error("28P01")]
struct WrongPassword;

/// A server that takes one version, and remembers what it was shown.
async fn log_in(
    secret: &RotatingSecret,
    accepted: &str,
) -> (Result<(), LogInError<WrongPassword>>, Vec<String>) {
    let tried = Arc::new(Mutex::new(Vec::new()));
    let attempt = |credential: CredentialGuard| {
        let (tried, version) = (tried.clone(), credential.version().to_owned());
        async move {
            let accepts = version == accepted;
            tried.lock().unwrap().push(version);
            if accepts {
                Ok(())
            } else {
                Err(Attempt::Rejected(WrongPassword))
            }
        }
    };
    let outcome = secret.log_in(attempt).await;
    let tried = tried.lock().unwrap().clone();
    (outcome, tried)
}

#[tokio::test(start_paused = true)]
async fn a_login_goes_through_what_is_cached_awscurrent_awspending_and_awscurrent_again() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    provider.pending("v3");
    let (outcome, tried) = log_in(&secret, "v3").await;
    outcome.unwrap();
    assert_eq!(tried, ["v1", "v2", "v3"]);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_rejected_throughout_ends_with_the_servers_answer_and_what_to_do() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.pending("v2");
    let (outcome, tried) = log_in(&secret, "none").await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, LogInError::Rejected { .. }));
    let text = error.to_string();
    assert!(
        text.contains("28P01") && text.contains("v1, v2") && text.contains("rotate"),
        "{text}"
    );
    assert_eq!(tried, ["v1", "v2"]);
    assert_eq!(held(&secret), "v1");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_for_another_reason_asks_nobody_for_another_credential() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let outcome = secret
        .log_in(|_| async { Err::<(), _>(Attempt::Failed(WrongPassword)) })
        .await;
    assert!(matches!(outcome, Err(LogInError::Failed(_))));
    assert!(questions(&provider).is_empty());
}
