//! A login that the server rejects: one fetch for all tasks, and the order in which versions are tried.

#![cfg(test)]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
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
use tokio::time::{Instant, sleep};

/// The provider's fetches since the first one.
fn questions(provider: &Scripted) -> Vec<Stage> {
    provider.stages().split_off(1)
}

#[tokio::test(start_paused = true)]
async fn recovery_asks_for_awscurrent_first() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
    assert_eq!(questions(&provider), [Current]);
    assert_eq!(held(&secret), "v2");
}

#[tokio::test(start_paused = true)]
async fn recovery_asks_for_awspending_between_setsecret_and_finishsecret() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.pending("v2");
    let next = secret.recover("v1").await.unwrap();
    assert_eq!((next.version(), next.stage()), ("v2", Pending));
    assert_eq!(questions(&provider), [Current, Pending]);
    assert_eq!(held(&secret), "v2");
}

#[tokio::test(start_paused = true)]
async fn recovery_asks_for_awscurrent_again_if_a_rotation_ends_between_the_two() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.promote_meanwhile("v2");
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
    assert_eq!(questions(&provider), [Current, Pending, Current]);
}

#[tokio::test(start_paused = true)]
async fn if_every_version_was_rejected_the_error_says_what_to_do() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let error = secret.recover("v1").await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("rotate"), "{error}");
    assert_eq!(questions(&provider)[..3], [Current, Pending, Current]);
    assert_eq!(held(&secret), "v1", "the provider says that it is current");
}

#[tokio::test(start_paused = true)]
async fn a_lagging_store_is_asked_until_it_has_the_servers_password() {
    for lag in [0, 1, 3, 4].map(Duration::from_secs) {
        let provider = Scripted::new("v1");
        let secret = secret(&provider).await;
        let waiting: Vec<_> = (0..60)
            .map(|_| {
                let secret = secret.clone();
                tokio::spawn(async move { log_in(&secret, "v2").await.0 })
            })
            .collect();
        sleep(lag).await;
        provider.pending("v2");
        for waits in waiting {
            waits.await.unwrap().unwrap();
        }
        let asked = questions(&provider).len();
        // ten rounds, then one a second, each with three fetches at most
        assert!(asked <= 3 * (10 + 4), "{asked} in {lag:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_says_what_was_asked_and_for_how_long() {
    let provider = Scripted::new("v1");
    let builder = RotatingSecret::builder("orders/db").lag(Duration::from_secs(2));
    let secret = builder.build(provider.clone()).await.unwrap();
    let begun = Instant::now();
    let error = secret.recover("v1").await.unwrap_err().to_string();
    assert_eq!(begun.elapsed().as_secs(), 2);
    for part in ["in 2.0 s", "v1 as AWSCURRENT", "nothing as AWSPENDING"] {
        assert!(error.contains(part), "{error}");
    }
    // a login that kept trying the same version covers all that time
    sleep(MINUTE).await;
    let error = log_in(&secret, "none").await.0.unwrap_err().to_string();
    assert!(error.contains("asked 11 times in 2.0 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lag_of_zero_means_no_wait() {
    let provider = Scripted::new("v1");
    let builder = RotatingSecret::builder("orders/db").lag(Duration::ZERO);
    let secret = builder.build(provider.clone()).await.unwrap();
    let begun = Instant::now();
    let error = secret.recover("v1").await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(questions(&provider), [Current, Pending, Current]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_caller_is_served_by_any_change_of_the_current_version() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let waits = tokio::spawn({
        let secret = secret.clone();
        async move { secret.recover("v1").await.unwrap().version().to_owned() }
    });
    settle().await;
    provider.current("v2");
    secret.refresh().await.unwrap();
    let begun = Instant::now();
    assert_eq!(waits.await.unwrap(), "v2");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_an_older_version_gets_the_current_one_without_a_request() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    assert_eq!(secret.recover("v0").await.unwrap().version(), "v1");
    assert!(questions(&provider).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_request_answers_all_waiting_callers() {
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
async fn a_caller_that_asks_during_a_request_gets_its_answer_too() {
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
async fn while_every_version_is_rejected_neither_the_provider_nor_the_server_is_flooded() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let (begun, logins) = (Instant::now(), Arc::new(Mutex::new(0)));
    let callers: Vec<_> = (0..60)
        .map(|_| {
            let (secret, logins) = (secret.clone(), logins.clone());
            tokio::spawn(async move {
                while begun.elapsed() < MINUTE {
                    let (outcome, tried) = log_in(&secret, "none").await;
                    assert!(outcome.is_err());
                    *logins.lock().unwrap() += tried.len();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    // in the end all tasks together make one login every two seconds
    let logins = *logins.lock().unwrap();
    assert!((30..40).contains(&logins), "{logins} logins");
    let asked = questions(&provider).len();
    assert!(asked <= 3 * (10 + 60), "{asked} questions");
    // it is not forgotten either: a rotation has happened
    provider.current("v2");
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_caller_finds_a_password_that_was_set_back_by_hand() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let works_at = Instant::now() + Duration::from_secs(3);
    let attempt = |_| async move {
        match Instant::now() < works_at {
            true => Err(Attempt::Rejected(WrongPassword)),
            false => Ok(()),
        }
    };
    secret.log_in(attempt).await.unwrap();
    assert!(works_at.elapsed() < Duration::from_secs(2));
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
async fn recovery_waits_for_a_provider_that_throttles_and_not_for_one_that_forbids() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.fail(Kind::Throttled);
    let waits = tokio::spawn({
        let secret = secret.clone();
        async move { log_in(&secret, "v2").await.0 }
    });
    sleep(Duration::from_secs(2)).await;
    provider.current("v2");
    waits.await.unwrap().unwrap();

    provider.fail(Kind::AccessDenied);
    let begun = Instant::now();
    let error = secret.recover("v2").await.unwrap_err();
    assert!(error.to_string().contains("access denied"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_does_not_restore_a_rejected_version_while_the_next_one_is_pending() {
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
async fn after_an_abandoned_rotation_awscurrent_is_used_again() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.pending("v2");
    secret.recover("v1").await.unwrap();
    provider.nothing_pending();
    secret.refresh().await.unwrap();
    assert_eq!(held(&secret), "v2", "as a store that lags would say too");
    sleep(Duration::from_secs(6)).await;
    assert_eq!(held(&secret), "v1");
}

#[derive(Debug, thiserror::Error)]
#[error("28P01")]
struct WrongPassword;

/// A server that accepts one version, and records the passwords that it gets.
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
async fn a_login_tries_the_cached_version_and_then_awscurrent_awspending_and_awscurrent_again() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    provider.pending("v3");
    let (outcome, tried) = log_in(&secret, "v3").await;
    outcome.unwrap();
    assert_eq!(tried, ["v1", "v2", "v3"]);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_every_version_fails_ends_with_the_servers_answer_and_what_to_do() {
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
    // both versions once, then again and again while the store may lag
    assert_eq!(tried[..2], ["v1", "v2"]);
    assert!(tried.len() < 20, "{tried:?}");
    assert_eq!(held(&secret), "v1");
}

#[tokio::test(start_paused = true)]
async fn an_unclear_answer_of_a_pooler_causes_one_more_request_and_one_more_login() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let unclear = |credential: CredentialGuard| async move {
        match credential.version() == "v2" {
            true => Ok(()),
            false => Err(Attempt::Unclear(WrongPassword)),
        }
    };
    let begun = Instant::now();
    let error = secret.log_in(unclear).await.unwrap_err();
    assert!(matches!(error, LogInError::Failed(_)), "{error}");
    assert_eq!(begun.elapsed(), Duration::ZERO, "no task waits for it");
    provider.pending("v2");
    sleep(Duration::from_secs(1)).await;
    secret.log_in(unclear).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_for_another_reason_requests_no_other_credential() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let outcome = secret
        .log_in(|_| async { Err::<(), _>(Attempt::Failed(WrongPassword)) })
        .await;
    assert!(matches!(outcome, Err(LogInError::Failed(_))));
    assert!(questions(&provider).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_unclear_answer_of_a_pooler_and_a_dead_awspending_do_not_lock_the_application_out() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    // a failed rotation left it
    provider.pending("v2");
    let hiccup = AtomicBool::new(true);
    let attempt = async |credential: CredentialGuard| match credential.version() == "v1"
        && !hiccup.swap(false, Ordering::SeqCst)
    {
        true => Ok(()),
        false => Err(Attempt::Unclear(WrongPassword)),
    };
    let _ = secret.log_in(attempt).await;
    for _ in 0..20 {
        secret.log_in(attempt).await.unwrap();
        sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn recovery_without_log_in_returns_at_once_from_a_version_that_does_not_log_in() {
    let dead_pending = Scripted::new("v1");
    let secret = secret(&dead_pending).await;
    dead_pending.pending("v2");
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
    let begun = Instant::now();
    assert_eq!(secret.recover("v2").await.unwrap().version(), "v1");
    assert!(begun.elapsed() < Duration::from_secs(1));

    let rolled_back = Scripted::new("v1");
    let secret = common::secret(&rolled_back).await;
    rolled_back.current("v2");
    secret.refresh().await.unwrap();
    rolled_back.current("v1");
    let begun = Instant::now();
    assert_eq!(secret.recover("v2").await.unwrap().version(), "v1");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_of_the_provider_logins_succeed_as_soon_as_it_answers() {
    let provider = Scripted::new("v1");
    let builder = RotatingSecret::builder("orders/db").ttl(MINUTE);
    let secret = builder.build(provider.clone()).await.unwrap();
    provider.fail(Kind::Throttled);
    pass(2 * MINUTE).await;
    // the password was rotated in the meantime
    provider.current("v2");
    log_in(&secret, "v2").await.0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_login_makes_no_request() {
    let provider = Scripted::new("v1");
    let builder = RotatingSecret::builder("orders/db").lag(2 * MINUTE);
    let secret = builder.build(provider.clone()).await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_secs(1), log_in(&secret, "v2"));
    assert!(given_up.await.is_err());
    let asked = questions(&provider).len();
    sleep(MINUTE).await;
    assert_eq!(questions(&provider).len(), asked);
}
