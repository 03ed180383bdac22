//! A credential is renewed before its lifetime ends, kept while the provider fails, and dropped at its bound.

#![cfg(test)]

mod common;

use std::time::Duration;

use common::*;
use rotating_secret::{
    Error, RotatingSecret,
    provider::{ProviderErrorKind as Kind, Version},
};
use tokio::time::{Instant, sleep};

const TTL: Duration = Duration::from_secs(300);
const FLEET: usize = 1000;

#[tokio::test(start_paused = true)]
async fn a_new_version_is_current_before_the_lifetime_of_the_old_one_ends() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    pass(TTL / 5).await;
    assert_eq!(held(&secret), "v1");
    pass(TTL * 4 / 5).await;
    assert_eq!(held(&secret), "v2");
}

/// How often each quarter of so many lifetimes was the one in which a client of a fleet asked.
async fn quarters_of(
    lifetimes: usize,
    seen: impl AsyncFn(&Scripted, &RotatingSecret),
) -> Vec<usize> {
    let mut quarters = vec![0; 4 * lifetimes];
    for _ in 0..FLEET {
        let provider = Scripted::new("v1");
        let secret = secret(&provider).await;
        seen(&provider, &secret).await;
        let before = provider.asked();
        let (_, last) = before.last().unwrap();
        sleep(TTL * lifetimes as u32).await;
        for (_, at) in &provider.asked()[before.len()..] {
            let quarter = (*at - *last).div_duration_f64(TTL / 4) as usize;
            quarters[quarter.min(4 * lifetimes - 1)] += 1;
        }
    }
    quarters
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_sees_a_start_a_change_or_an_outage_together_asks_apart_from_then_on() {
    let start = async |_: &Scripted, _: &RotatingSecret| {};
    let change = async |provider: &Scripted, secret: &RotatingSecret| {
        provider.current("v2");
        secret.refresh().await.unwrap();
    };
    let outage = async |provider: &Scripted, secret: &RotatingSecret| {
        provider.fail(Kind::Unavailable);
        sleep(2 * TTL).await;
        provider.current("v1");
        while secret.is_failing() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    for (what, quarters) in [
        ("start", quarters_of(2, start).await),
        ("change", quarters_of(2, change).await),
        ("outage", quarters_of(2, outage).await),
    ] {
        assert_eq!(quarters[0], 0, "{what}: {quarters:?}");
        // 17 to 36 % are expected, and of so many clients no quarter has less or more by chance
        let even = quarters[1..]
            .iter()
            .all(|asked| (FLEET / 10..=FLEET * 6 / 10).contains(asked));
        assert!(even, "{what}: {quarters:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_current_version_is_served_while_the_provider_throttles_or_is_unreachable_for_a_minute()
{
    for kind in [Kind::Throttled, Kind::Unavailable] {
        let provider = Scripted::new("v1");
        let secret = secret(&provider).await;
        provider.fail(kind);
        provider.asked_times(2).await;
        let failing_since = Instant::now();
        pass(MINUTE).await;
        assert_eq!(held(&secret), "v1");
        // 0.1 s, then doubled, each with a random addition up to the same time: neither silence nor a storm
        let asked = provider
            .asked()
            .iter()
            .filter(|(_, at)| *at > failing_since)
            .count();
        assert!((4..=10).contains(&asked), "{asked}");
        provider.current("v2");
        pass(MINUTE).await;
        assert_eq!(held(&secret), "v2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_a_freeze_of_the_process_has_ended_is_asked_again_at_once() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.hang(true);
    let waits = tokio::spawn({
        let secret = secret.clone();
        async move { secret.refresh().await.unwrap().version().to_owned() }
    });
    provider.asked_times(2).await;
    provider.current("v2");
    // longer than the question may take
    tokio::time::advance(MINUTE).await;
    let thawed = Instant::now();
    provider.asked_times(3).await;
    provider.hang(false);
    assert_eq!(waits.await.unwrap(), "v2");
    assert!(thawed.elapsed() < Duration::from_millis(100));
    assert!(!secret.is_failing());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_does_not_delay_a_caller_with_a_credential() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.hang(true);
    provider.asked_times(2).await;
    let begun = Instant::now();
    assert_eq!(secret.usable().await.unwrap().version(), "v1");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    pass(MINUTE).await;
    assert!(
        provider.asked().len() > 3,
        "each question has its time limit"
    );
    provider.current("v2");
    provider.hang(false);
    pass(TTL).await;
    assert_eq!(held(&secret), "v2");
}

#[tokio::test(start_paused = true)]
async fn only_a_successful_refresh_renews_the_age() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.fail(Kind::Unavailable);
    pass(2 * TTL).await;
    assert!(secret.current().unwrap().age() >= 2 * TTL);
    provider.current("v1");
    pass(MINUTE).await;
    assert!(secret.current().unwrap().age() <= MINUTE);
}

#[tokio::test(start_paused = true)]
async fn past_the_bound_there_is_an_error_and_no_expired_credential() {
    for kind in [Kind::Unavailable, Kind::AccessDenied, Kind::NotFound] {
        let provider = Scripted::new("v1");
        let builder = RotatingSecret::builder("orders/db")
            .ttl(MINUTE)
            .overlap_window(10 * MINUTE);
        let secret = builder.build(provider.clone()).await.unwrap();
        provider.fail(kind);
        pass(9 * MINUTE).await;
        assert_eq!(held(&secret), "v1");
        pass(10 * MINUTE - 9 * MINUTE).await;
        let error = secret.current().unwrap_err();
        assert!(matches!(error, Error::Expired { .. }), "{error}");
        assert!(error.to_string().contains(kind.name()), "{error}");
        provider.current("v2");
        pass(MINUTE).await;
        assert_eq!(held(&secret), "v2");
    }
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_during_a_fetch_that_hangs() {
    let provider = Scripted::new("v1");
    let builder = RotatingSecret::builder("orders/db")
        .ttl(MINUTE)
        .overlap_window(2 * MINUTE);
    let secret = builder
        .fetch_timeout(HOUR)
        .build(provider.clone())
        .await
        .unwrap();
    provider.hang(true);
    pass(2 * MINUTE).await;
    assert_eq!(provider.asked().len(), 2);
    assert!(matches!(secret.current(), Err(Error::Expired { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_not_retried_before_the_lifetime_is_over() {
    for kind in [Kind::AccessDenied, Kind::NotFound, Kind::Invalid] {
        let provider = Scripted::new("v1");
        let secret = secret(&provider).await;
        provider.fail(kind);
        provider.asked_times(2).await;
        pass(TTL * 7 / 10).await;
        assert_eq!(provider.asked().len(), 2, "{kind}");
        assert_eq!(held(&secret), "v1");
        let error = secret.refresh().await.unwrap_err();
        assert!(error.to_string().contains(kind.name()), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_a_thousand_waiting_callers() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    secret.invalidate("v1");
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let secret = secret.clone();
            tokio::spawn(async move { secret.usable().await.unwrap().version().to_owned() })
        })
        .collect();
    for waits in waiting {
        assert_eq!(waits.await.unwrap(), "v1");
    }
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_share_one_failure_and_its_requests() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.fail(Kind::Throttled);
    secret.invalidate("v1");
    for _ in 0..100 {
        let error = secret.usable().await.unwrap_err();
        assert!(error.to_string().contains("throttled"), "{error}");
    }
    assert_eq!(provider.asked().len(), 2);
}

/// Such versions are renewed within a minute, and not used after it.
async fn assert_lasts_a_minute(such: impl Fn(&str) -> Version) {
    let provider = Scripted::new("v1");
    provider.answer(such("v1"));
    let secret = secret(&provider).await;
    provider.answer(such("v2"));
    pass(MINUTE / 2).await;
    assert_eq!(held(&secret), "v2");
    provider.fail(Kind::Unavailable);
    pass(MINUTE).await;
    assert!(matches!(secret.current(), Err(Error::Expired { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_overlap_window_in_the_document_shortens_the_lifetime() {
    assert_lasts_a_minute(|id| Version::text(id, r#"{"overlap_seconds":60}"#)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_before_it_ends_and_not_used_after_it() {
    let leased = |id: &str| version(id).with_lease(MINUTE);
    assert_lasts_a_minute(leased).await;
}

#[tokio::test(start_paused = true)]
async fn renewal_stops_with_the_last_handle_even_during_a_fetch() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    let other = secret.clone();
    drop(secret);
    provider.asked_times(2).await;
    provider.hang(true);
    provider.asked_times(3).await;
    drop(other);
    provider.hang(false);
    pass(10 * TTL).await;
    assert_eq!(provider.asked().len(), 3);
}

#[test]
fn a_handle_that_outlives_its_runtime_returns_an_error_and_no_stale_credential() {
    for runtime in [
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    ] {
        let mut runtime = runtime;
        let runtime = runtime.enable_all().build().unwrap();
        let secret = runtime.block_on(secret(&Scripted::new("v1")));
        assert_eq!(held(&secret), "v1");
        drop(runtime);
        assert!(matches!(secret.current(), Err(Error::Stopped { .. })));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        assert!(matches!(
            runtime.block_on(secret.usable()),
            Err(Error::Stopped { .. })
        ));
        assert!(matches!(
            runtime.block_on(secret.changed()),
            Err(Error::Stopped { .. })
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_on_a_runtime_of_several_threads() {
    let provider = Scripted::new("v1");
    let secret = secret(&provider).await;
    provider.current("v2");
    assert_eq!(secret.refresh().await.unwrap().version(), "v2");
    assert_eq!(held(&secret), "v2");
}
