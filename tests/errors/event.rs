//! The event, and the function's environment.

use super::*;

#[tokio::test]
async fn an_event_without_a_field_is_refused_with_the_fields_name() {
    let world = world().await;
    let event = json!({ "Step": "createSecret", "SecretId": "x", "ClientRequestToken": TOKEN });
    for field in ["Step", "SecretId", "ClientRequestToken"] {
        let mut event = event.clone();
        event.as_object_mut().unwrap().remove(field);
        let error = world.function().invoke(event).await.outcome.unwrap_err();
        assert_eq!(error.error_type, "EventFieldMissing");
        assert!(error.error_message.contains(field), "{error}");
    }
    assert!(world.secrets_manager().calls().is_empty());
}

#[tokio::test]
async fn an_event_that_is_not_an_object_is_refused_and_the_function_continues() {
    let world = warm_world().await;
    for event in [json!(null), json!("text"), json!([1]), json!({ "Step": 7 })] {
        let error = world.function().invoke(event).await.outcome.unwrap_err();
        assert!(error.error_type.starts_with("EventField"), "{error}");
    }
    assert_eq!(world.function().environments(), 1);
}

#[tokio::test]
async fn an_unknown_step_is_refused() {
    let world = world().await;
    let error = fails(&world, world.single_user(), "revertSecret").await;
    assert_error(&error, "StepUnknown", "send createSecret");
}

#[tokio::test]
async fn an_unusable_setting_is_reported_at_every_invocation() {
    for (name, value, error_type, advice) in [
        (
            "PASSWORD_LENGTH",
            "12",
            "PasswordPolicyTooWeak",
            "allows 77 bits",
        ),
        (
            "PASSWORD_HASHING",
            "md5",
            "SettingInvalid",
            "scram or server",
        ),
    ] {
        let world = start(options_with(&[(name, value)])).await;
        stage(&world, world.single_user());
        let error = fails(&world, world.single_user(), "createSecret").await;
        assert_error(&error, error_type, advice);
    }
}
