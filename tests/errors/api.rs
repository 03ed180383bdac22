//! Secrets Manager: denied, throttled, retried.

use super::*;

#[tokio::test]
async fn a_secret_that_does_not_exist_is_told_from_one_without_a_version() {
    let world = world().await;
    for step in common::STEPS {
        let error = failure(&world, "demo/nowhere", step).await;
        assert_eq!(error.error_type, "SecretNotFound", "{step}: {error}");
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
