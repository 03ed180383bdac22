//! A service's answers are not trusted: an id that no request can name, a pointer that leads elsewhere, an answer that cannot be
//! read, a busy service, a key that not every server knows yet.

use std::time::Duration;

use super::{assert_no_orphan, document, edit, error, key, options, service, world};
use crate::common::{
    LONG, all_steps, failure, invoke, options_with, put_pending, rotate, stage, staged_secret,
    start,
};
use local::world::World;
use serde_json::{Value, json};

/// A world whose account has room for many keys, so that a leftover key is seen.
async fn roomy(overlap: &str) -> World {
    let world = world(overlap).await;
    service(&world).set_limit(99);
    world
}

/// A world whose steps have time to wait.
async fn patient(overlap: &str) -> World {
    let mut options = options(overlap);
    options.function_timeout = LONG;
    start(options).await
}

#[tokio::test]
async fn a_key_with_an_unusable_id_is_deleted_and_not_stored() {
    let world = roomy("1h").await;
    stage(&world, world.api_key());
    for id in [
        "..", ".", "%2e%2e", "%2E", "a/b", "a\\b", "a?b", "a#b", "a;b", "a\nb", "\u{1b}",
    ] {
        let answer = json!({ "id": id, "secret": "the key" });
        service(&world).set_answer(Some(&answer.to_string()));
        let error = failure(&world, world.api_key(), "createSecret").await;
        assert_eq!(error.error_type, "KeyIdUnusable", "{error}");
        let said = "the key that was made is deleted";
        assert!(error.error_message.contains(said), "{error}");
        assert_no_orphan(&world, false, id).await;
    }
    service(&world).set_answer(None);
    all_steps(&world, world.api_key()).await;
}

#[tokio::test]
async fn a_numeric_id_is_kept_digit_by_digit() {
    let world = world("0s").await;
    service(&world).set_numbers();
    for _ in 0..2 {
        assert!(rotate(&world, world.api_key()).await.succeeded);
        assert_no_orphan(&world, false, "the old one was deleted by its number").await;
    }
    assert!(
        key(&world, "AWSCURRENT")
            .await
            .unwrap()
            .parse::<u128>()
            .is_ok()
    );
}

#[tokio::test]
async fn a_wrong_pointer_leaves_no_key_behind() {
    for (field, pointer, error_type, said) in [
        ("key", "/elsewhere", "AnswerUnreadable", "\"/elsewhere\""),
        ("id", "/elsewhere", "AnswerUnreadable", "\"/elsewhere\""),
        (
            "id",
            "/name",
            "KeyIdUnusable",
            "is not the one that list shows for it",
        ),
    ] {
        let world = roomy("1h").await;
        let good = document(&world, "AWSCURRENT").await.unwrap()["create"][field].clone();
        edit(&world, |document| {
            document["create"][field] = pointer.into()
        })
        .await;
        stage(&world, world.api_key());
        for _ in 0..3 {
            let error = failure(&world, world.api_key(), "createSecret").await;
            assert_eq!(error.error_type, error_type, "{error}");
            let message = &error.error_message;
            assert!(
                message.contains(said) && message.contains("is deleted"),
                "{message}"
            );
            assert_no_orphan(&world, false, pointer).await;
        }
        // what the message advises
        edit(&world, |document| document["create"][field] = good.clone()).await;
        stage(&world, world.api_key());
        all_steps(&world, world.api_key()).await;
        assert_no_orphan(&world, true, pointer).await;
    }
}

#[tokio::test]
async fn with_an_idempotency_key_a_wrong_pointer_leaves_the_one_key_that_the_cure_then_stores() {
    for with_list in [true, false] {
        let world = roomy("1h").await;
        service(&world).set_idempotent();
        edit(&world, |document| {
            document["create"]["headers"]["idempotency-key"] = "{token}".into();
            document["create"]["id"] = "/elsewhere".into();
            if !with_list {
                document.as_object_mut().unwrap().remove("list");
            }
        })
        .await;
        stage(&world, world.api_key());
        for _ in 0..3 {
            let error = failure(&world, world.api_key(), "createSecret").await;
            assert_eq!(error.error_type, "AnswerUnreadable", "{error}");
            assert!(
                error
                    .error_message
                    .contains("is returned again for the same token"),
                "{error}"
            );
        }
        assert_eq!(service(&world).keys().len(), 2, "with list: {with_list}");
        // once it is corrected, the token's rotation goes on
        edit(&world, |document| document["create"]["id"] = "/id".into()).await;
        stage(&world, world.api_key());
        all_steps(&world, world.api_key()).await;
        assert_no_orphan(&world, true, "corrected").await;
    }
}

#[tokio::test]
async fn an_id_that_another_version_holds_is_refused_because_ending_one_key_would_end_both() {
    let world = roomy("0s").await;
    let current = key(&world, "AWSCURRENT").await.unwrap();
    let answer = json!({ "id": current, "secret": "another key" });
    service(&world).set_answer(Some(&answer.to_string()));
    let (error_type, message) = error(&rotate(&world, world.api_key()).await);
    assert_eq!(error_type, "KeyIdUnusable", "{message}");
    assert!(message.contains("which another version holds"), "{message}");
    assert_no_orphan(&world, false, "the current one is untouched").await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error_that_says_why_and_leaves_no_key() {
    let world = roomy("1h").await;
    stage(&world, world.api_key());
    for (answer, reason) in [
        (
            "<html>hidden-value</html>".to_owned(),
            "it is no JSON: expected value at line 1",
        ),
        (String::new(), "it is no JSON: EOF"),
        ("[".repeat(200), "recursion limit exceeded"),
        (
            format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000)),
            "recursion limit exceeded",
        ),
        ("x".repeat(300_000), "longer than 262144 bytes"),
    ] {
        service(&world).set_answer(Some(&answer));
        let error = failure(&world, world.api_key(), "createSecret").await;
        assert_eq!(error.error_type, "AnswerUnreadable", "{error}");
        let message = &error.error_message;
        assert!(
            message.contains(reason) && !message.contains("hidden"),
            "{message}"
        );
        assert_no_orphan(&world, false, reason).await;
    }
}

#[tokio::test]
async fn a_busy_service_is_asked_again_after_the_time_that_it_names() {
    for wait in ["0", "1", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let world = patient("unbounded").await;
        assert!(rotate(&world, world.api_key()).await.succeeded);
        for request in ["GET /keys", "DELETE /keys", "GET /me"] {
            service(&world).busy(request, wait);
        }
        let rotation = rotate(&world, world.api_key()).await;
        assert!(rotation.succeeded, "{wait}: {rotation:?}");
        assert_eq!(rotation.attempts.len(), 1, "{wait}");
        assert_eq!(service(&world).faults_left(), 0);
    }
}

#[tokio::test]
async fn a_busy_service_that_names_no_time_or_more_than_the_step_has_is_an_error_at_once() {
    let world = world("1h").await;
    stage(&world, world.api_key());
    for wait in ["3600", "18446744073709551615", "soon", ""] {
        service(&world).busy("GET /keys", wait);
        let error = failure(&world, world.api_key(), "createSecret").await;
        assert_eq!(error.error_type, "ServiceRefused", "{error}");
        assert!(error.error_message.contains("HTTP 429"), "{error}");
    }
}

#[tokio::test]
async fn the_creation_of_a_key_is_retried_only_with_an_idempotency_key() {
    for repeatable in [false, true] {
        let world = patient("1h").await;
        if repeatable {
            service(&world).set_idempotent();
            edit(&world, |document| {
                document["create"]["headers"]["idempotency-key"] = "{token}".into();
            })
            .await;
        }
        stage(&world, world.api_key());
        service(&world).busy("POST /keys", "1");
        let outcome = invoke(&world, world.api_key(), "createSecret")
            .await
            .outcome;
        match outcome {
            Ok(answer) => assert!(repeatable, "{answer}"),
            Err(error) => {
                assert!(!repeatable, "{error}");
                assert_eq!(error.error_type, "ServiceRefused", "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_the_service_accepts_late_is_tried_until_then() {
    let world = patient("1h").await;
    service(&world).set_not_ready(2);
    edit(&world, |document| document["ready_within"] = "20s".into()).await;
    let rotation = rotate(&world, world.api_key()).await;
    assert!(rotation.succeeded, "{rotation:?}");
    assert_eq!(rotation.attempts.len(), 1);
    let after = document(&world, "AWSCURRENT").await.unwrap();
    assert_eq!(after["ready_within"], "20s");
}

#[tokio::test]
async fn a_late_key_is_tried_even_if_the_current_key_is_gone() {
    let world = patient("1h").await;
    service(&world).set_not_ready(2);
    edit(&world, |document| document["ready_within"] = "20s".into()).await;
    service(&world).delete(&key(&world, "AWSCURRENT").await.unwrap());
    let rotation = rotate(&world, world.api_key()).await;
    assert!(rotation.succeeded, "{rotation:?}");
    assert_eq!(rotation.attempts.len(), 1);
}

#[tokio::test]
async fn a_key_that_stays_unknown_is_rejected_when_its_time_or_the_step_is_over() {
    let mut options = options_with(&[]).with_key_service();
    options.function_timeout = Duration::from_secs(10);
    let world = start(options).await;
    let mut document = document(&world, "AWSCURRENT").await.unwrap();
    document["key"] = "unknown".into();
    // the step's own time limit bounds the second one
    for (secret, within) in [("ready/soon", "2s"), ("ready/late", "60s")] {
        document["ready_within"] = within.into();
        staged_secret(&world, secret, &document.to_string()).await;
        put_pending(&world, secret, &document).await;
        let before = service(&world).refused();
        let error = failure(&world, secret, "testSecret").await;
        assert_eq!(error.error_type, "PendingRejected", "{within}: {error}");
        assert!(service(&world).refused() > before + 1, "{within}");
    }
}

#[tokio::test]
async fn an_invalid_or_too_long_time_is_refused() {
    for (field, value) in [
        ("ready_within", json!("61s")),
        ("ready_within", json!("soon")),
        ("ready_within", json!(30)),
        ("overlap", json!("584542046090years")),
        ("overlap", json!("101years")),
    ] {
        let world = world("1h").await;
        let wrong: Value = value.clone();
        edit(&world, |document| document[field] = wrong).await;
        let (error_type, message) = error(&rotate(&world, world.api_key()).await);
        assert_eq!(error_type, "DocumentFieldInvalid", "{value}: {message}");
        assert!(message.contains(field), "{message}");
    }
}
