//! The secret's document.

use super::*;

#[tokio::test]
async fn an_unusable_document_is_refused_with_the_reason() {
    let world = world().await;
    let with = async |key: &str, value: Value| document_with(&world, key, value).await;
    let without = async |key: &str| {
        let mut document: Value = serde_json::from_str(&with(key, json!(1)).await).unwrap();
        document.as_object_mut().unwrap().remove(key);
        document.to_string()
    };
    let cases = [
        (
            "not-json",
            "host=localhost".to_owned(),
            "DocumentNotJson",
            "store an object",
        ),
        (
            "no-object",
            r#"["localhost"]"#.to_owned(),
            "DocumentNotAnObject",
            "store an object",
        ),
        (
            "no-host",
            without("host").await,
            "DocumentFieldMissing",
            "\"host\"",
        ),
        (
            "no-username",
            without("username").await,
            "DocumentFieldMissing",
            "\"username\"",
        ),
        (
            "no-password",
            without("password").await,
            "DocumentFieldMissing",
            "\"password\"",
        ),
        (
            "host-type",
            with("host", json!(7)).await,
            "DocumentFieldInvalid",
            "\"host\"",
        ),
        (
            "port-type",
            with("port", json!("many")).await,
            "DocumentFieldInvalid",
            "1 to 65535",
        ),
        (
            "engine",
            with("engine", json!("mysql")).await,
            "EngineUnknown",
            "own engine's function",
        ),
    ];
    for (name, text, error_type, advice) in cases {
        staged_secret(&world, name, &text).await;
        let error = fails(&world, name, "createSecret").await;
        assert_error(&error, error_type, advice);
    }
}

#[tokio::test]
async fn a_binary_secret_is_refused() {
    let world = world().await;
    let (secret, bytes) = ("demo/binary", "//79");
    let input = json!({ "Name": secret, "SecretBinary": bytes });
    call(&world, "CreateSecret", input).await;
    stage(&world, secret);
    let error = fails(&world, secret, "createSecret").await;
    assert_error(&error, "SecretIsBinary", "SecretString");
}
