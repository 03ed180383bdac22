//! What a program that serves other programs needs of the client: any version by its id or label, secrets that nobody has read yet,
//! refusals that end what is held and pass word for word, and metrics without ids that a caller chose.
#![cfg(feature = "aws")]
#![cfg(test)]

mod common;

use common::{MINUTE, Scripted, pass, version};
use local::world::{Options, World};
use metrics_util::debugging::DebuggingRecorder;
use rotating_secret::{
    Error, RotatingSecret,
    provider::{Aws, ProviderErrorKind as Kind, Refusal, SecretProvider, Selector, Stage},
};
use secrecy::ExposeSecret;
use serde_json::json;

#[tokio::test]
async fn a_version_is_read_by_its_id_or_by_any_label_with_its_name_its_date_and_its_labels() {
    let world = World::start(Options::new("none")).await.unwrap();
    let service = world.secrets_manager();
    let create = json!({ "Name": "a/key", "SecretString": "one" });
    let first = service.call("CreateSecret", create).await.unwrap();
    let put = json!({ "SecretId": "a/key", "SecretString": "two", "VersionStages": ["team/blue", "AWSPENDING"] });
    service.call("PutSecretValue", put).await.unwrap();
    let aws = Aws::from_clients([world.aws()]);

    let id = first["VersionId"].as_str().map(str::to_owned);
    for (selector, text, labels) in [
        (Selector::default(), "one", &["AWSCURRENT"][..]),
        (Selector::new(id, None), "one", &["AWSCURRENT"]),
        (
            Selector::stage("team/blue"),
            "two",
            &["AWSPENDING", "team/blue"],
        ),
    ] {
        let mut read = aws.read("a/key", &selector).await.unwrap();
        read.stages.sort();
        assert_eq!(common::stores::text(&read), text, "{selector:?}");
        assert_eq!(read.stages, labels);
        assert_eq!(read.name.as_deref(), Some("a/key"));
        assert!(read.created.is_some());
    }

    // and is followed as any other secret
    let followed = RotatingSecret::builder("a/key");
    let followed = followed
        .build(aws.select(Selector::stage("team/blue")))
        .await
        .unwrap();
    let held = followed.current().unwrap();
    assert_eq!(held.text().unwrap().expose_secret(), "two");
    assert_eq!(held.name(), Some("a/key"));
    let put =
        json!({ "SecretId": "a/key", "SecretString": "three", "VersionStages": ["team/blue"] });
    service.call("PutSecretValue", put).await.unwrap();
    let held = followed.refresh().await.unwrap();
    assert_eq!(held.text().unwrap().expose_secret(), "three");
    assert_eq!(held.stages(), ["team/blue"]);
    let pending = aws.select(Selector::stage("team/blue"));
    let pending = pending.fetch("a/key", Stage::Pending).await.unwrap_err();
    assert_eq!(pending.kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_error_of_the_service_is_passed_on_word_for_word() {
    let world = World::start(Options::new("none")).await.unwrap();
    let aws = Aws::from_clients([world.aws()]);
    let refused = aws.read("absent", &Selector::default()).await.unwrap_err();
    let message = "Secrets Manager can't find the specified secret.".to_owned();
    let said = Refusal::new(400, "ResourceNotFoundException", Some(message));
    assert_eq!(refused.refusal(), Some(&said));
}

#[tokio::test(start_paused = true)]
async fn many_first_readers_of_a_secret_share_one_request() {
    let provider = Scripted::new("v1");
    let secret = RotatingSecret::builder("orders/db")
        .build_unread(provider.clone())
        .unwrap();
    assert!(matches!(secret.current(), Err(Error::Unread { .. })));
    assert_eq!(provider.asked().len(), 0);
    let waiting = (0..100).map(|_| secret.usable());
    for read in futures_util::future::join_all(waiting).await {
        assert_eq!(read.unwrap().version(), "v1");
    }
    assert_eq!(provider.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_read_is_retried_by_itself_and_not_by_each_reader() {
    let provider = Scripted::new("v1");
    provider.fail(Kind::Throttled);
    let secret = RotatingSecret::builder("orders/db")
        .build_unread(provider.clone())
        .unwrap();
    for _ in 0..50 {
        assert!(secret.usable().await.is_err());
    }
    assert!(secret.is_failing());
    assert_eq!(provider.asked().len(), 1);
    provider.current("v1");
    let read = secret.changed_from("").await.unwrap();
    assert_eq!(read.version(), "v1");
    assert!(!secret.is_failing());
}

#[tokio::test(start_paused = true)]
async fn with_the_option_a_refusal_drops_the_cached_version_and_an_outage_does_not() {
    for ends in [true, false] {
        let provider = Scripted::new("v1");
        let builder = RotatingSecret::builder("orders/db");
        let builder = match ends {
            true => builder.end_when_refused(),
            false => builder,
        };
        let secret = builder.build(provider.clone()).await.unwrap();
        // silence, and credentials that cannot be loaded or an answer that is none: the store did not refuse
        for silent in [Kind::Unavailable, Kind::Throttled, Kind::Invalid] {
            provider.fail(silent);
            pass(10 * MINUTE).await;
            assert_eq!(secret.current().unwrap().version(), "v1", "{silent}");
        }
        provider.fail(Kind::AccessDenied);
        pass(5 * MINUTE).await;
        assert_eq!(secret.current().is_err(), ends);
        provider.answer(version("v1"));
        pass(5 * MINUTE).await;
        assert_eq!(secret.usable().await.unwrap().version(), "v1");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_label_no_metric_names_the_secret() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let provider = Scripted::new("v1");
    let builder = RotatingSecret::builder("an-id-of-a-caller").unlabelled();
    let secret = builder.build_unread(provider.clone()).unwrap();
    secret.usable().await.unwrap();
    provider.current("v2");
    secret.refresh().await.unwrap();
    provider.fail(Kind::AccessDenied);
    assert!(secret.refresh().await.is_err());
    let told = snapshotter.snapshot().into_vec();
    let names: Vec<&str> = told.iter().map(|(key, ..)| key.key().name()).collect();
    for name in [
        "rotating_secret_fetches_total",
        "rotating_secret_failures_total",
        "rotating_secret_version_changes_total",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(!names.contains(&"rotating_secret_age_seconds"), "{names:?}");
    for (key, ..) in &told {
        let labels: Vec<&str> = key.key().labels().map(|label| label.key()).collect();
        assert!(!labels.contains(&"secret"), "{key:?}");
    }
}
