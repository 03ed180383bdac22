//! Secrets Manager: denied, throttled, retried.

use super::*;

#[tokio::test]
async fn an_absent_secret_is_distinguished_from_one_without_a_version() {
    let world = world().await;
    for step in common::STEPS {
        let error = failure(&world, "demo/nowhere", step).await;
        assert_eq!(error.error_type, "SecretNotFound", "{step}: {error}");
    }
}

const DENIED: &str = "AccessDeniedException";
const THROTTLED: &str = "ThrottlingException";

/// The calls of each step: each can be denied and throttled.
const CALLS: [(&str, &[&str]); 4] = [
    (
        "createSecret",
        &["DescribeSecret", "GetSecretValue", "PutSecretValue"],
    ),
    ("setSecret", &["GetSecretValue"]),
    ("testSecret", &["GetSecretValue"]),
    (
        "finishSecret",
        &[
            "DescribeSecret",
            "GetSecretValue",
            "UpdateSecretVersionStage",
        ],
    ),
];

#[tokio::test]
async fn a_denied_call_is_reported_with_its_operation_and_changes_nothing() {
    let world = world().await;
    let secret = world.single_user();
    stage(&world, secret);
    for (step, operations) in CALLS {
        for operation in operations {
            inject(&world, operation, answers(DENIED));
            let error = fails(&world, secret, step).await;
            let advice = format!("grant secretsmanager:{operation}");
            assert_error(&error, "AccessDenied", &advice);
        }
        outcome(&world, secret, step).await;
    }
}

#[tokio::test]
async fn a_throttle_that_outlasts_the_retries_is_an_error_and_never_an_absent_version() {
    let world = world().await;
    let secret = world.single_user();
    stage(&world, secret);
    for (step, operations) in CALLS {
        for operation in operations {
            // once for each try
            let fault = Fault::on(operation, answers(THROTTLED)).times(3);
            world.secrets_manager().inject(fault);
            let error = fails(&world, secret, step).await;
            assert_error(&error, "Throttled", "nothing was changed");
        }
        outcome(&world, secret, step).await;
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
        inject(&world, operation, answers(THROTTLED));
    }
    let rotation = rotate(&world, world.single_user()).await;
    assert!(
        rotation.succeeded && rotation.attempts.len() == 1,
        "{rotation:?}"
    );
}

fn broken(status: u16, code: &str) -> Behavior {
    Behavior::Error(ServiceError {
        status,
        code: code.to_owned(),
        message: "as the test asked".to_owned(),
    })
}

#[tokio::test]
async fn a_failing_service_is_asked_again_and_a_lasting_failure_is_reported_with_its_code() {
    let world = world().await;
    let secret = world.single_user();
    for operation in ["DescribeSecret", "GetSecretValue", "PutSecretValue"] {
        inject(&world, operation, broken(503, "ServiceUnavailable"));
    }
    stage(&world, secret);
    outcome(&world, secret, "createSecret").await;
    for step in ["setSecret", "testSecret"] {
        let down = Fault::on("GetSecretValue", broken(500, "InternalServiceError"));
        world.secrets_manager().inject(down.times(3));
        let error = fails(&world, secret, step).await;
        assert_error(&error, "StoreRefused", "InternalServiceError");
        outcome(&world, secret, step).await;
    }
    let down = broken(500, "InternalServiceError");
    let down = Fault::on("UpdateSecretVersionStage", down).times(3);
    world.secrets_manager().inject(down);
    let error = fails(&world, secret, "finishSecret").await;
    assert_error(&error, "StoreRefused", "InternalServiceError");
    let once = broken(503, "ServiceUnavailable");
    inject(&world, "UpdateSecretVersionStage", once);
    outcome(&world, secret, "finishSecret").await;
}

#[tokio::test]
async fn a_rotation_that_fails_is_retried_by_the_service_and_then_succeeds() {
    let world = world().await;
    inject(&world, "UpdateSecretVersionStage", answers(DENIED));
    let rotation = rotate(&world, world.single_user()).await;
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
