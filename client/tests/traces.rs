//! Metrics and log lines say what happened, and hold no secret.

#![cfg(test)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use common::*;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use rotating_secret::provider::ProviderErrorKind as Kind;

/// One test at a time: if another thread reaches a line for the first time while a subscriber is made, the line may be
/// switched off.
static ALONE: Mutex<()> = Mutex::new(());

/// Metrics by name and, for failures, by kind.
fn counted(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let number = |value| match value {
        DebugValue::Counter(count) => count as f64,
        DebugValue::Gauge(value) => value.0,
        DebugValue::Histogram(_) => panic!("none is a histogram"),
    };
    let named = |key: &metrics::Key| {
        let kind = key.labels().find(|label| label.key() == "kind");
        assert!(
            key.labels()
                .any(|label| label.key() == "secret" && label.value() == "orders/db")
        );
        format!("{} {}", key.name(), kind.map_or("", |kind| kind.value()))
            .trim()
            .to_owned()
    };
    let snapshot = snapshotter.snapshot().into_vec().into_iter();
    snapshot
        .map(|(key, _, _, value)| (named(key.key()), number(value)))
        .collect()
}

#[test]
fn fetches_failures_recoveries_changes_and_the_age_are_counted_and_hits_are_not() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let provider = Scripted::new("v1");
            let secret = secret(&provider).await;
            for _ in 0..1000 {
                secret.current().unwrap();
            }
            provider.pending("v2");
            secret.recover("v1").await.unwrap();
            provider.fail(Kind::Throttled);
            tokio::time::advance(MINUTE).await;
            secret.refresh().await.unwrap_err();
        });
    });
    let counted = counted(&snapshotter);
    let expected = [
        ("rotating_secret_age_seconds", 60.0),
        ("rotating_secret_failures_total throttled", 1.0),
        // the first fetch, AWSCURRENT and AWSPENDING, and the throttled one
        ("rotating_secret_fetches_total", 4.0),
        ("rotating_secret_recoveries_total", 1.0),
        ("rotating_secret_version_changes_total", 1.0),
    ];
    let expected: BTreeMap<String, f64> = expected
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    assert_eq!(counted, expected);
}

#[test]
fn no_log_line_at_any_level_holds_the_secret() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let provider = Scripted::new("v1");
            let secret = secret(&provider).await;
            provider.pending("v2");
            secret.recover("v1").await.unwrap();
            secret.recover("v2").await.unwrap();
            provider.fail(Kind::Throttled);
            secret.refresh().await.unwrap_err();
            tracing::info!(?secret, "shown");
            pass(24 * HOUR).await;
        });
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for told in [
        "another version is current",
        "was not renewed",
        "is not used any more",
        "shown",
    ] {
        assert!(log.contains(told), "{told} is missing in\n{log}");
    }
    assert!(!log.contains("password of"), "{log}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
