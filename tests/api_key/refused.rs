//! Only the service's own answer counts as "rejected", and the master key goes only to allowed hosts.

use super::{assert_no_orphan, edit, error, key, service, world};
use crate::common::{
    all_steps, assert_error, failure, options, put, rotate, stage, stage_up_to, start,
};
use local::secrets_manager::{Behavior, Hang, ServiceError, When};
use serde_json::{Value, json};

fn status(status: u16) -> Behavior {
    Behavior::Error(ServiceError {
        status,
        code: String::new(),
        message: "hidden-value".to_owned(),
    })
}

#[tokio::test]
async fn a_service_that_does_not_answer_or_not_as_expected_is_an_error_and_not_a_rejected_key() {
    for (behavior, error_type) in [
        (status(500), "ServiceRefused"),
        (status(429), "ServiceRefused"),
        (status(403), "ServiceRefused"),
        (Behavior::Drop(When::BeforeEffect), "ServiceUnreachable"),
    ] {
        let world = world("1h").await;
        stage_up_to(&world, world.api_key(), "setSecret").await;
        service(&world).inject("GET /me", behavior);
        let error = failure(&world, world.api_key(), "testSecret").await;
        assert_eq!(error.error_type, error_type);
        assert!(!error.error_message.contains("hidden-value"), "{error}");
        // the retry goes on
        all_steps(&world, world.api_key()).await;
        assert_no_orphan(&world, true, error_type).await;
    }
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let world = world("1h").await;
    stage(&world, world.api_key());
    let long = Behavior::Error(ServiceError {
        status: 200,
        code: String::new(),
        message: "x".repeat(300_000),
    });
    service(&world).inject("GET /keys", long);
    let error = failure(&world, world.api_key(), "createSecret").await;
    assert_error(&error, "AnswerUnreadable", "longer than 262144 bytes");
}

#[tokio::test]
async fn a_slow_service_is_given_up_in_time() {
    let mut options = options().with_key_service();
    options.function_timeout = std::time::Duration::from_secs(10);
    let world = start(options).await;
    stage(&world, world.api_key());
    service(&world).inject(
        "POST /keys",
        Behavior::Hang(When::BeforeEffect, Hang::default()),
    );
    let error = failure(&world, world.api_key(), "createSecret").await;
    assert_eq!(error.error_type, "ServiceTimedOut", "{error}");
}

#[tokio::test]
async fn a_pending_key_that_the_service_rejects_is_not_promoted() {
    let world = world("1h").await;
    stage_up_to(&world, world.api_key(), "setSecret").await;
    service(&world).delete(&key(&world, "AWSPENDING").await.unwrap());
    let error = failure(&world, world.api_key(), "testSecret").await;
    assert_eq!(error.error_type, "PendingRejected", "{error}");
    assert_no_orphan(&world, false, "AWSCURRENT is untouched").await;
}

#[tokio::test]
async fn a_master_secret_that_the_service_rejects_is_an_error_that_says_so() {
    let world = world("1h").await;
    let master = super::document(&world, "AWSCURRENT").await.unwrap()["masterarn"].clone();
    let wrong = json!({ "key": "wrong", "account": "a" });
    put(&world, master.as_str().unwrap(), wrong).await;
    let (error_type, message) = error(&rotate(&world, world.api_key()).await);
    assert_eq!(error_type, "ServiceRefused");
    assert!(
        message.contains("HTTP 401") && message.contains("masterarn"),
        "{message}"
    );
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_asked() {
    for url in [
        "https://localhost:9/keys",
        "https://evil.example.com/keys",
        "https://localhost/keys",
    ] {
        let world = world("1h").await;
        edit(&world, |document| document["create"]["url"] = url.into()).await;
        let (error_type, message) = error(&rotate(&world, world.api_key()).await);
        assert_eq!(error_type, "HostNotAllowed", "{message}");
        assert!(message.contains("ALLOWED_HOSTS"), "{message}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = world("1h").await;
    edit(&world, |document| {
        let url = format!("https://{}/moved", service(&world).host());
        document["create"]["url"] = url.into();
    })
    .await;
    let (error_type, message) = error(&rotate(&world, world.api_key()).await);
    assert_eq!(error_type, "ServiceRefused");
    assert!(message.contains("HTTP 307"), "{message}");
    assert!(message.contains("redirects are not followed"), "{message}");
    assert_no_orphan(&world, false, "nothing was made").await;
}

#[tokio::test]
async fn an_untrusted_certificate_is_an_error() {
    let world = start(options().with_key_service().without_ca_file()).await;
    stage(&world, world.api_key());
    let error = failure(&world, world.api_key(), "createSecret").await;
    assert_eq!(error.error_type, "ServiceCertificateInvalid", "{error}");
}

#[tokio::test]
async fn an_unusable_document_is_refused_before_anything_is_asked() {
    type Edit = fn(&mut Value);
    let cases: [(Edit, &str); 5] = [
        (
            |document| document["create"]["url"] = "http://localhost/keys".into(),
            "DocumentFieldInvalid",
        ),
        (
            |document| drop(document.as_object_mut().unwrap().remove("verify")),
            "DocumentFieldMissing",
        ),
        (
            |document| drop(document.as_object_mut().unwrap().remove("masterarn")),
            "DocumentFieldMissing",
        ),
        (
            |document| drop(document.as_object_mut().unwrap().remove("list")),
            "KeysNotRepeatable",
        ),
        (
            |document| document["create"]["headers"]["x"] = "{master.nothing}".into(),
            "PlaceholderWithoutValue",
        ),
    ];
    for (edited, error_type) in cases {
        let world = world("1h").await;
        let keys = service(&world).keys();
        edit(&world, edited).await;
        let rotation = rotate(&world, world.api_key()).await;
        assert_eq!(error(&rotation).0, error_type, "{rotation:?}");
        assert_eq!(service(&world).keys(), keys);
    }
}

#[tokio::test]
async fn an_answer_without_the_key_is_an_error_and_the_unreadable_key_is_deleted() {
    let world = world("1h").await;
    edit(&world, |document| {
        document["create"]["key"] = "/elsewhere".into()
    })
    .await;
    let (error_type, message) = error(&rotate(&world, world.api_key()).await);
    assert_eq!(error_type, "AnswerUnreadable");
    assert!(message.contains("\"/elsewhere\""), "{message}");
    assert_no_orphan(&world, false, "nothing was stored").await;
}
