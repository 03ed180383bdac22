use aws_sdk_secretsmanager::{config::retry::RetryConfig, error::SdkError};
use local::secrets_manager::{Behavior, Fault, Hang, ServiceError, When};

use super::{client, refused, serve_without_function, token, value};

#[tokio::test]
async fn an_injected_error_has_no_effect_and_affects_only_its_own_requests() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    world.create("other", "one").await;
    let throttled = ServiceError {
        status: 400,
        code: "ThrottlingException".to_owned(),
        message: "Rate exceeded".to_owned(),
    };
    let arn = world.service.arn("demo").unwrap();
    let fault = Fault::on("PutSecretValue", Behavior::Error(throttled));
    world.service.inject(fault.secret(&arn).times(2));

    let put = |secret: &str| world.put("two").secret_id(secret).send();
    put("other").await.unwrap();
    for _ in 0..2 {
        let (code, message) = refused(put("demo").await);
        assert_eq!(
            (&*code, &*message),
            ("ThrottlingException", "Rate exceeded")
        );
    }
    assert_eq!(value(&world.client, "AWSCURRENT").await, "one");
    put("demo").await.unwrap();
    let noted = &world.service.calls()[3].result;
    assert_eq!(*noted, Err("ThrottlingException".to_owned()));
}

#[tokio::test]
async fn a_dropped_connection_is_a_transport_error_before_or_after_the_effect() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    for (when, expected) in [(When::BeforeEffect, "one"), (When::AfterEffect, "two")] {
        let drops = Fault::on("PutSecretValue", Behavior::Drop(when));
        world.service.inject(drops);
        let put = world.put("two").send().await;
        assert!(matches!(put, Err(SdkError::DispatchFailure(_))), "{put:?}");
        let value = value(&world.client, "AWSCURRENT").await;
        assert_eq!(value, expected, "{when:?}");
    }
}

#[tokio::test]
async fn an_sdk_that_retries_a_dropped_request_stores_its_value_once() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let drops = Fault::on("PutSecretValue", Behavior::Drop(When::AfterEffect));
    world.service.inject(drops);
    let retrying = client(world.address, "any", RetryConfig::standard());
    let put = retrying
        .put_secret_value()
        .secret_id("demo")
        .client_request_token(token("second"));
    put.secret_string("two").send().await.unwrap();
    let calls = world.service.calls().into_iter();
    let puts = calls.filter(|call| call.operation == "PutSecretValue");
    assert_eq!(puts.count(), 2);
    assert_eq!(value(&world.client, "AWSCURRENT").await, "two");
}

#[tokio::test]
async fn a_request_can_hang_before_or_after_its_effect() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    for (when, meanwhile) in [(When::BeforeEffect, "one"), (When::AfterEffect, "two")] {
        let hang = Hang::default();
        let hangs = Behavior::Hang(when, hang.clone());
        world.service.inject(Fault::on("PutSecretValue", hangs));
        let put = world
            .client
            .put_secret_value()
            .secret_id("demo")
            .client_request_token(token("second"));
        let put = tokio::spawn(put.secret_string("two").send());
        hang.reached().await;
        let value = value(&world.client, "AWSCURRENT").await;
        assert_eq!(value, meanwhile, "{when:?}");
        if when == When::BeforeEffect {
            put.abort(); // the client is killed: its request never has an effect
        } else {
            hang.release();
            put.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_lagging_read_returns_the_state_before_the_last_change() {
    let world = serve_without_function().await;
    let first = world.create("demo", "one").await;
    world.put("two").send().await.unwrap();
    for operation in ["GetSecretValue", "DescribeSecret"] {
        let lags = Fault::on(operation, Behavior::Lag).secret("demo");
        world.service.inject(lags);
    }
    assert_eq!(value(&world.client, "AWSCURRENT").await, "one");
    assert_eq!(value(&world.client, "AWSCURRENT").await, "two");
    assert_eq!(world.labels(&first).await, ["AWSCURRENT"]);
    assert_eq!(world.labels(&first).await, ["AWSPREVIOUS"]);
}

#[tokio::test]
async fn a_list_that_lags_does_not_have_the_newest_secret() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let lags = Fault::on("ListSecrets", Behavior::Lag);
    world.service.inject(lags);
    let listed = async || {
        let list = world.client.list_secrets().send().await.unwrap();
        list.secret_list().len()
    };
    assert_eq!(listed().await, 0);
    assert_eq!(listed().await, 1);
}
