//! Each way to fail: told apart by its `errorType`, with what to do in its message, and nothing changed or lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{TOKEN, document_with, failure, invoke, outcome, snapshot, staged_secret, world};
use local::{
    postgres::{Postgres, Settings},
    secrets_manager::{Behavior, Fault, ServiceError},
    world::World,
};
use serde_json::{Value, json};

/// Invokes the step, and holds what the issue of every failure must be: its kind, a word of its advice, and a
/// state that is what it was.
async fn assert_fails(world: &World, secret: &str, step: &str, error_type: &str, advice: &str) {
    let before = snapshot(world, secret).await;
    let error = failure(world, secret, step).await;
    assert_eq!(error.error_type, error_type, "{error}");
    assert!(error.error_message.contains(advice), "{error}");
    assert_eq!(snapshot(world, secret).await, before, "{error}");
}

/// A secret whose document is the demo's with one key replaced, after its createSecret.
async fn created(world: &World, key: &str, value: Value) -> &'static str {
    let secret = "demo/other";
    staged_secret(world, secret, &document_with(world, key, value).await).await;
    assert_eq!(outcome(world, secret, "createSecret").await, "created");
    secret
}

#[tokio::test]
async fn an_event_without_a_field_is_refused_by_the_fields_name() {
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
async fn an_event_that_is_no_object_is_refused_and_the_function_lives_on() {
    let world = world().await;
    for event in [json!(null), json!("text"), json!([1]), json!({ "Step": 7 })] {
        let error = world.function().invoke(event).await.outcome.unwrap_err();
        assert!(error.error_type.starts_with("EventField"), "{error}");
    }
    assert_eq!(world.function().environments(), 1);
}

#[tokio::test]
async fn an_unknown_step_is_refused() {
    let world = world().await;
    assert_fails(
        &world,
        world.single_user(),
        "revertSecret",
        "StepUnknown",
        "send createSecret",
    )
    .await;
}

#[tokio::test]
async fn a_secret_that_is_not_enabled_for_rotation_is_refused() {
    let world = world().await;
    let input =
        json!({ "Name": "demo/still", "SecretString": document_with(&world, "x", json!(1)).await });
    world
        .secrets_manager()
        .call("CreateSecret", input)
        .await
        .unwrap();
    assert_fails(
        &world,
        "demo/still",
        "createSecret",
        "RotationNotEnabled",
        "RotateSecret",
    )
    .await;
    assert_fails(
        &world,
        "demo/still",
        "finishSecret",
        "RotationNotEnabled",
        "RotateSecret",
    )
    .await;
}

#[tokio::test]
async fn a_secret_that_does_not_exist_is_told_from_one_without_a_version() {
    let world = world().await;
    for step in common::STEPS {
        let error = failure(&world, "demo/nowhere", step).await;
        assert_eq!(error.error_type, "SecretNotFound", "{step}: {error}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_version_is_refused() {
    let world = world().await;
    for step in common::STEPS {
        assert_fails(
            &world,
            world.single_user(),
            step,
            "TokenUnknown",
            "start rotations with RotateSecret",
        )
        .await;
    }
}

#[tokio::test]
async fn a_token_that_is_not_staged_as_awspending_is_refused() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(&world, secret, "createSecret").await;
    // the rotation is abandoned: a label of one's own keeps the version, and AWSPENDING goes
    for input in [
        json!({ "SecretId": secret, "VersionStage": "KEPT", "MoveToVersionId": TOKEN }),
        json!({ "SecretId": secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": TOKEN }),
    ] {
        world
            .secrets_manager()
            .call("UpdateSecretVersionStage", input)
            .await
            .unwrap();
    }
    for step in common::STEPS {
        assert_fails(&world, secret, step, "TokenNotStaged", "rotate again").await;
    }
}

#[tokio::test]
async fn a_secret_without_awscurrent_is_refused() {
    let world = world().await;
    world
        .secrets_manager()
        .call("CreateSecret", json!({ "Name": "demo/empty" }))
        .await
        .unwrap();
    world.secrets_manager().stage("demo/empty", TOKEN).unwrap();
    for step in ["createSecret", "setSecret", "finishSecret"] {
        assert_fails(
            &world,
            "demo/empty",
            step,
            "NoCurrentVersion",
            "PutSecretValue",
        )
        .await;
    }
}

#[tokio::test]
async fn a_step_before_createsecret_finds_no_value_and_says_which_step_comes_first() {
    let world = world().await;
    world
        .secrets_manager()
        .stage(world.single_user(), TOKEN)
        .unwrap();
    for step in ["setSecret", "testSecret"] {
        assert_fails(
            &world,
            world.single_user(),
            step,
            "NoPendingValue",
            "createSecret comes first",
        )
        .await;
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_used_is_refused_by_what_is_wrong_with_it() {
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
            "ssl-type",
            with("ssl", json!("maybe")).await,
            "DocumentFieldInvalid",
            "true or false",
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
        assert_fails(&world, name, "createSecret", error_type, advice).await;
    }
}

#[tokio::test]
async fn a_binary_secret_is_refused() {
    let world = world().await;
    let service = world.secrets_manager();
    service
        .call(
            "CreateSecret",
            json!({ "Name": "demo/binary", "SecretBinary": "AAEC" }),
        )
        .await
        .unwrap();
    service.stage("demo/binary", TOKEN).unwrap();
    assert_fails(
        &world,
        "demo/binary",
        "createSecret",
        "SecretIsBinary",
        "SecretString",
    )
    .await;
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_not_a_rejected_password() {
    let world = world().await;
    // bound but not listening: nobody else can take the port meanwhile
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let secret = created(&world, "port", json!(port)).await;
    for step in ["setSecret", "testSecret"] {
        assert_fails(
            &world,
            secret,
            step,
            "DatabaseUnreachable",
            "security groups",
        )
        .await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_ends_in_a_timeout_well_before_lambdas() {
    let mut options = common::options();
    options.function_timeout = std::time::Duration::from_secs(3);
    let world = World::start(options).await.unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = created(&world, "port", json!(silent.local_addr().unwrap().port())).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "DatabaseTimedOut",
        "no answer within 0.5 s",
    )
    .await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_the_secret_says_so() {
    let settings = Settings {
        tls: false,
        ..Settings::default()
    };
    let world = World::start(common::options().own_postgres(settings))
        .await
        .unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    assert_fails(&world, secret, "setSecret", "TlsRefused", "\"ssl\": false").await;

    let plain = "demo/plain";
    staged_secret(
        &world,
        plain,
        &document_with(&world, "ssl", json!(false)).await,
    )
    .await;
    for step in common::STEPS {
        outcome(&world, plain, step).await;
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let settings = Settings {
        certificate_hosts: vec!["elsewhere.example".to_owned()],
        ..Settings::default()
    };
    let world = World::start(common::options().own_postgres(settings))
        .await
        .unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    for step in ["setSecret", "testSecret"] {
        assert_fails(
            &world,
            secret,
            step,
            "CertificateInvalid",
            "elsewhere.example",
        )
        .await;
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_is_refused() {
    let world = World::start(common::options().without_ca_file())
        .await
        .unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "CertificateInvalid",
        "TLS_CA_FILE",
    )
    .await;
}

#[tokio::test]
async fn a_ca_file_that_is_not_there_is_told_by_its_path() {
    let mut options = common::options();
    options
        .function_env
        .push(("TLS_CA_FILE".to_owned(), "/nowhere/ca.pem".to_owned()));
    let world = World::start(options).await.unwrap();
    let secret = created(&world, "host", json!("localhost")).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "TlsRootsUnreadable",
        "/nowhere/ca.pem",
    )
    .await;
}

#[tokio::test]
async fn when_no_version_logs_in_the_password_was_changed_by_hand() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(&world, secret, "createSecret").await;
    world
        .postgres()
        .execute(&format!(
            "ALTER ROLE \"{}\" PASSWORD 'by hand'",
            world.role()
        ))
        .await
        .unwrap();
    assert_fails(
        &world,
        secret,
        "setSecret",
        "NoVersionLogsIn",
        "set one with ALTER ROLE",
    )
    .await;
    assert_fails(
        &world,
        secret,
        "testSecret",
        "PendingRejected",
        "AWSCURRENT is untouched",
    )
    .await;
}

#[tokio::test]
async fn a_role_without_login_is_not_taken_for_a_wrong_password() {
    let world = world().await;
    let secret = created(&world, "host", json!("localhost")).await;
    world
        .postgres()
        .execute(&format!("ALTER ROLE \"{}\" NOLOGIN", world.role()))
        .await
        .unwrap();
    assert_fails(
        &world,
        secret,
        "setSecret",
        "LoginForbidden",
        "give the role LOGIN",
    )
    .await;
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_told_with_the_servers_words() {
    let world = world().await;
    let secret = created(&world, "dbname", json!("nowhere")).await;
    assert_fails(&world, secret, "setSecret", "DatabaseRefused", "3D000").await;
}

#[tokio::test]
async fn a_standby_takes_no_change() {
    let primary = Postgres::start(Settings::default()).await.unwrap();
    let standby = primary.start_standby().await.unwrap();
    let world = World::start(common::options().on_postgres(primary))
        .await
        .unwrap();
    standby.catch_up_with(world.postgres()).await.unwrap();
    let secret = created(&world, "port", json!(standby.port())).await;
    assert_fails(
        &world,
        secret,
        "setSecret",
        "DatabaseIsStandby",
        "writer's address",
    )
    .await;
}

#[tokio::test]
async fn a_pending_version_that_names_another_server_is_sent_nothing() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    let forged = document_with(&world, "host", json!("attacker.example")).await;
    let input = json!({
        "SecretId": secret, "ClientRequestToken": TOKEN, "SecretString": forged, "VersionStages": ["AWSPENDING"]
    });
    world
        .secrets_manager()
        .call("PutSecretValue", input)
        .await
        .unwrap();
    for step in ["createSecret", "setSecret"] {
        assert_fails(&world, secret, step, "AnotherServer", "another host").await;
    }
}

fn denied() -> ServiceError {
    ServiceError {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        message: "User: someone is not authorized to perform that".to_owned(),
    }
}

fn throttled() -> ServiceError {
    ServiceError {
        status: 400,
        code: "ThrottlingException".to_owned(),
        message: "Rate exceeded".to_owned(),
    }
}

/// Which calls each step makes: each of them can be denied and throttled.
const CALLS: [(&str, &[&str]); 4] = [
    (
        "createSecret",
        &["DescribeSecret", "GetSecretValue", "PutSecretValue"],
    ),
    ("setSecret", &["GetSecretValue"]),
    ("testSecret", &["GetSecretValue"]),
    (
        "finishSecret",
        &["DescribeSecret", "UpdateSecretVersionStage"],
    ),
];

#[tokio::test]
async fn a_denied_call_is_told_by_its_operation_and_changes_nothing() {
    let world = world().await;
    world
        .secrets_manager()
        .stage(world.single_user(), TOKEN)
        .unwrap();
    for (step, operations) in CALLS {
        for operation in operations {
            world
                .secrets_manager()
                .inject(Fault::on(operation, Behavior::Error(denied())));
            let advice = format!("grant secretsmanager:{operation}");
            assert_fails(&world, world.single_user(), step, "AccessDenied", &advice).await;
        }
        invoke(&world, world.single_user(), step)
            .await
            .outcome
            .unwrap();
    }
}

#[tokio::test]
async fn a_throttle_that_outlasts_the_retries_is_an_error_and_never_an_absent_version() {
    let world = world().await;
    world
        .secrets_manager()
        .stage(world.single_user(), TOKEN)
        .unwrap();
    for (step, operations) in CALLS {
        for operation in operations {
            // three attempts of each of up to two reads at once
            let reads = if (step, *operation) == ("setSecret", "GetSecretValue") {
                6
            } else {
                3
            };
            world
                .secrets_manager()
                .inject(Fault::on(operation, Behavior::Error(throttled())).times(reads));
            assert_fails(
                &world,
                world.single_user(),
                step,
                "Throttled",
                "nothing was changed",
            )
            .await;
        }
        invoke(&world, world.single_user(), step)
            .await
            .outcome
            .unwrap();
    }
}

#[tokio::test]
async fn a_single_throttle_is_retried_within_the_step() {
    let world = world().await;
    for operation in [
        "DescribeSecret",
        "GetSecretValue",
        "PutSecretValue",
        "UpdateSecretVersionStage",
    ] {
        world
            .secrets_manager()
            .inject(Fault::on(operation, Behavior::Error(throttled())));
    }
    let rotation = common::rotate(&world, world.single_user()).await;
    assert!(
        rotation.succeeded && rotation.attempts.len() == 1,
        "{rotation:?}"
    );
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_told_at_every_invocation() {
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
        let mut options = common::options();
        options
            .function_env
            .push((name.to_owned(), value.to_owned()));
        let world = World::start(options).await.unwrap();
        world
            .secrets_manager()
            .stage(world.single_user(), TOKEN)
            .unwrap();
        assert_fails(
            &world,
            world.single_user(),
            "createSecret",
            error_type,
            advice,
        )
        .await;
    }
}

#[tokio::test]
async fn a_rotation_that_fails_is_retried_by_the_service_and_then_succeeds() {
    let world = world().await;
    world.secrets_manager().inject(Fault::on(
        "UpdateSecretVersionStage",
        Behavior::Error(denied()),
    ));
    let rotation = common::rotate(&world, world.single_user()).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let outcomes = |attempt: usize| -> Vec<String> {
        let steps = &rotation.attempts[attempt].steps;
        steps
            .iter()
            .filter_map(|run| run.invoked.outcome.as_ref().ok())
            .map(|o| o["outcome"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(outcomes(0), ["created", "changed", "logged in"]);
    assert_eq!(
        outcomes(1),
        [
            "already created",
            "already changed",
            "logged in",
            "promoted"
        ]
    );
}
