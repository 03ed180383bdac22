//! The start of a secret.

#![cfg(test)]

mod common;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use common::*;
use rotating_secret::{
    BuildError, Builder, Error, RotatingSecret,
    provider::{ProviderError, ProviderErrorKind as Kind, SecretProvider, Stage, Version},
};
use tokio::time::Instant;

#[tokio::test]
async fn a_ttl_that_is_not_below_the_overlap_window_is_refused_before_anything_is_asked() {
    let provider = Scripted::new("v1");
    let builder = RotatingSecret::builder("orders/db")
        .ttl(HOUR)
        .overlap_window(HOUR);
    let refused = builder.build(provider.clone()).await.unwrap_err();
    assert!(
        matches!(refused, BuildError::TtlNotBelowOverlap { .. }),
        "{refused}"
    );
    assert!(provider.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_longest_duration_works_like_any_other() {
    let provider = Scripted::new("v1");
    let leased = version("v1").with_lease(Duration::MAX);
    provider.answer(leased);
    let builder = RotatingSecret::builder("orders/db")
        .overlap_window(Duration::MAX)
        .fetch_timeout(Duration::MAX)
        .start_timeout(Duration::MAX)
        .lag(Duration::MAX);
    let secret = builder.build(provider.clone()).await.unwrap();
    provider.current("v2");
    assert_eq!(secret.recover("v1").await.unwrap().version(), "v2");
    let refused = RotatingSecret::builder("orders/db")
        .ttl(Duration::MAX)
        .overlap_window(Duration::MAX);
    let refused = refused.build(provider).await.unwrap_err();
    assert!(matches!(refused, BuildError::TtlNotBelowOverlap { .. }));
}

/// It panics at every fetch but the first.
struct Panicking(Scripted);

impl SecretProvider for Panicking {
    #[allow(clippy::panic, reason = "that is its purpose")]
    fn fetch(
        &self,
        secret: &str,
        stage: Stage,
    ) -> impl Future<Output = Result<Version, ProviderError>> + Send {
        assert_ne!(self.0.asked().len() % 2, 1, "as it was told");
        self.0.fetch(secret, stage)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_provider_counts_as_a_missing_answer_and_does_not_end_the_secret() {
    let provider = Scripted::new("v1");
    let secret = RotatingSecret::builder("orders/db").build(Panicking(provider.clone()));
    let secret = secret.await.unwrap();
    provider.current("v2");
    let error = secret.refresh().await.unwrap_err().to_string();
    assert!(error.contains("panicked"), "{error}");
    assert_eq!(held(&secret), "v1");
    // it was repaired in the meantime
    let _ = provider.fetch("orders/db", Stage::Current).await;
    pass(MINUTE).await;
    assert_eq!(held(&secret), "v2");
}

#[tokio::test(start_paused = true)]
async fn the_first_version_is_asked_for_again_while_the_provider_throttles_or_is_out_of_reach() {
    for kind in [Kind::Throttled, Kind::Unavailable] {
        let provider = Scripted::new("v1");
        provider.fail(kind);
        let built = tokio::spawn({
            let provider = provider.clone();
            async move { RotatingSecret::builder("orders/db").build(provider).await }
        });
        provider.asked_times(3).await;
        provider.current("v1");
        assert_eq!(held(&built.await.unwrap().unwrap()), "v1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_answer_at_the_start_is_an_error_when_the_start_timeout_is_over() {
    let provider = Scripted::new("v1");
    provider.hang(true);
    let begun = Instant::now();
    let failed = RotatingSecret::builder("orders/db")
        .build(provider.clone())
        .await
        .unwrap_err();
    assert!(failed.to_string().contains("no answer in time"), "{failed}");
    assert!(
        begun.elapsed() >= Duration::from_secs(10) && begun.elapsed() <= Duration::from_secs(20)
    );
    assert!(provider.asked().len() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_or_absent_secret_is_an_error_at_once_and_the_errors_differ() {
    for kind in [Kind::AccessDenied, Kind::NotFound] {
        let provider = Scripted::new("v1");
        provider.fail(kind);
        let failed = RotatingSecret::builder("orders/db")
            .build(provider.clone())
            .await
            .unwrap_err();
        let BuildError::First(Error::Provider { reason, .. }) = failed else {
            panic!("{failed}")
        };
        assert_eq!(reason.kind(), kind);
        assert_eq!(provider.asked().len(), 1);
    }
}

#[tokio::test]
async fn the_first_versions_of_many_secrets_are_fetched_together() {
    let provider = Scripted::new("v1");
    let builders = ["orders/db", "stock/db", "shop/key"].map(RotatingSecret::builder);
    let secrets = Builder::build_all(builders, provider.clone())
        .await
        .unwrap();
    assert_eq!(provider.batches(), [["orders/db", "stock/db", "shop/key"]]);
    assert!(provider.asked().is_empty());
    let ids: Vec<&str> = secrets.iter().map(RotatingSecret::id).collect();
    assert_eq!(ids, ["orders/db", "stock/db", "shop/key"]);
}

#[tokio::test(start_paused = true)]
async fn only_the_throttled_ones_of_many_secrets_are_asked_for_again() {
    let provider = Scripted::new("v1");
    provider.fail(Kind::Throttled);
    let built = tokio::spawn({
        let provider = provider.clone();
        async move { Builder::build_all(["a", "b"].map(RotatingSecret::builder), provider).await }
    });
    provider.asked_times(1).await;
    provider.current("v1");
    assert_eq!(built.await.unwrap().unwrap().len(), 2);
}

#[test]
fn without_a_runtime_it_is_an_error_and_not_a_panic() {
    let provider = Scripted::new("v1");
    let mut build = pin!(RotatingSecret::builder("orders/db").build(provider));
    let Poll::Ready(built) = build.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits")
    };
    assert!(matches!(built, Err(BuildError::NoRuntime)));
}
