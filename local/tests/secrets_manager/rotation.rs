use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use aws_sdk_secretsmanager::{
    Client, operation::rotate_secret::builders::RotateSecretFluentBuilder, primitives::DateTime,
    types::RotationRulesType,
};
use local::secrets_manager::{Rotation, labels::Promotion};
use serde_json::Value;

use super::{World, refused, serve, serve_without_function, token, value};

/// As the service sends them.
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// A rotation function that knows no database: it stores a new value and promotes it.
pub(super) async fn function(client: Client, event: Value) -> Result<(), String> {
    let [step, arn, token, rotation_token] =
        ["Step", "SecretId", "ClientRequestToken", "RotationToken"]
            .map(|key| event[key].as_str().unwrap().to_owned());
    match step.as_str() {
        "createSecret" => {
            let put = client.put_secret_value().secret_id(arn);
            let put = put.client_request_token(token).secret_string("two");
            let put = put.rotation_token(rotation_token);
            let put = put.version_stages("AWSPENDING").send().await;
            put.map(drop).map_err(|error| format!("{error:?}"))
        }
        "finishSecret" => {
            let current = client.get_secret_value().secret_id(&arn).send().await;
            let current = current.unwrap().version_id.unwrap();
            let promote = client.update_secret_version_stage().secret_id(arn);
            let promote = promote.version_stage("AWSCURRENT");
            let promote = promote.move_to_version_id(token);
            let promote = promote.remove_from_version_id(current).send().await;
            promote.map(drop).map_err(|error| format!("{error:?}"))
        }
        _ => Ok(()),
    }
}

fn rotate(world: &World, token: &str) -> RotateSecretFluentBuilder {
    let rotate = world.client.rotate_secret().secret_id("demo");
    let rotate = rotate.client_request_token(token);
    rotate.rotation_lambda_arn("arn:aws:lambda:eu-central-1:123456789012:function:rotation")
}

/// Rotates `demo` to the version `second`, and waits for the end.
async fn rotated(world: &World) -> Rotation {
    let second = token("second");
    rotate(world, &second).send().await.unwrap();
    world.service.rotation("demo", &second).await
}

fn steps(rotation: &Rotation) -> Vec<Vec<&str>> {
    let steps = rotation.attempts.iter().map(|attempt| &attempt.steps);
    steps
        .map(|steps| steps.iter().map(|run| run.step.as_str()).collect())
        .collect()
}

#[tokio::test]
async fn a_rotation_invokes_the_four_steps_and_reports_when_the_next_one_is_due() {
    let world = serve(function).await;
    let first = world.create("demo", "one").await;
    let second = token("second");
    let monthly = RotationRulesType::builder().automatically_after_days(30);
    let begin = rotate(&world, &second).rotation_rules(monthly.build());
    let answer = begin.send().await.unwrap();
    assert_eq!(answer.version_id(), Some(second.as_str()));

    let rotation = world.service.rotation("demo", &second).await;
    assert!(rotation.succeeded);
    assert_eq!(steps(&rotation), [STEPS]);
    let steps = &rotation.attempts[0].steps;
    assert_eq!(steps[2].labels[&second], ["AWSPENDING"]);
    assert_eq!(steps[3].labels[&first], ["AWSPREVIOUS"]);
    assert_eq!(value(&world.client, "AWSCURRENT").await, "two");

    let described = world.describe("demo").await;
    assert_eq!(described.rotation_enabled(), Some(true));
    let day = |date: Option<&DateTime>| date.unwrap().secs() / 86_400;
    let (last, next) = (
        described.last_rotated_date(),
        described.next_rotation_date(),
    );
    assert_eq!(day(next) - day(last), 30);
    let calls = world.service.calls();
    assert!(calls.iter().any(|call| call.rotation_token.is_some()));
}

#[tokio::test]
async fn the_token_is_staged_without_a_value_before_the_first_step() {
    let world = serve(|client, event| async move {
        let text = |key: &str| event[key].as_str().unwrap();
        let (arn, token) = (text("SecretId"), text("ClientRequestToken"));
        let described = client.describe_secret().secret_id(arn).send().await;
        let labels = described.unwrap().version_ids_to_stages.unwrap();
        let read = client.get_secret_value().secret_id(arn).version_id(token);
        let read = read.version_stage("AWSPENDING").send().await;
        Err(format!("{:?} {}", labels[token], refused(read).0))
    });
    let world = world.await;
    world.create("demo", "one").await;
    let rotation = rotated(&world).await;
    let step = &rotation.attempts[0].steps[0];
    let error = step.invoked.outcome.as_ref().unwrap_err();
    let told = r#"["AWSPENDING"] ResourceNotFoundException"#;
    assert_eq!(error.error_message, told);
}

#[tokio::test]
async fn a_failed_step_restarts_the_rotation_with_the_same_token() {
    let failures = Arc::new(AtomicUsize::new(2));
    let world = serve(move |client, event| {
        let failures = failures.clone();
        async move {
            let count_down = |left: usize| left.checked_sub(1);
            let left = || failures.fetch_update(SeqCst, SeqCst, count_down);
            match event["Step"] == "setSecret" && left().is_ok() {
                true => Err("not yet".to_owned()),
                false => function(client, event).await,
            }
        }
    });
    let world = world.await;
    world.create("demo", "one").await;
    let rotation = rotated(&world).await;
    let failed = vec!["createSecret", "setSecret"];
    assert_eq!(steps(&rotation), [failed.clone(), failed, STEPS.to_vec()]);
    assert!(rotation.succeeded);
}

#[tokio::test]
async fn an_unpromoted_rotation_has_failed_and_the_next_request_attempts_it_again() {
    let promotes = Arc::new(AtomicUsize::new(0));
    let flag = promotes.clone();
    let world = serve(move |client, event| {
        let skips = event["Step"] == "finishSecret" && flag.load(SeqCst) == 0;
        async move {
            match skips {
                true => Ok(()),
                false => function(client, event).await,
            }
        }
    });
    let world = world.await;
    world.create("demo", "one").await;
    let rotation = rotated(&world).await;
    assert_eq!((rotation.succeeded, rotation.attempts.len()), (false, 3));

    promotes.store(1, SeqCst);
    let (code, message) = refused(rotate(&world, &token("third")).send().await);
    assert_eq!(code, "InvalidRequestException");
    assert_eq!(
        message,
        "A previous rotation isn't complete. That rotation will be reattempted."
    );

    let rotation = world.service.rotation("demo", &token("second")).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let again = rotated(&world).await;
    assert_eq!(again.attempts.len(), 4, "a late repetition does nothing");
}

#[tokio::test]
async fn a_value_put_by_hand_abandons_the_rotation() {
    let world = serve(|client, event| async move {
        if event["Step"] == "setSecret" {
            let put = client.put_secret_value().secret_id("demo");
            put.secret_string("by hand").send().await.unwrap();
            return Err("the token has lost AWSPENDING".to_owned());
        }
        function(client, event).await
    });
    let world = world.await;
    world.create("demo", "one").await;
    let rotation = rotated(&world).await;
    assert_eq!((rotation.succeeded, rotation.attempts.len()), (false, 1));
    assert!(world.labels(&token("second")).await.is_empty());
    assert_eq!(value(&world.client, "AWSCURRENT").await, "by hand");
}

#[tokio::test]
async fn a_test_of_the_configuration_runs_test_secret_on_a_copy_and_removes_it() {
    let world = serve(|client, event| async move {
        assert_eq!(
            value(&client, "AWSPENDING").await,
            value(&client, "AWSCURRENT").await
        );
        assert_eq!(event["Step"], "testSecret");
        Ok(())
    });
    let world = world.await;
    world.create("demo", "one").await;
    let test = rotate(&world, &token("second")).rotate_immediately(false);
    test.send().await.unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    assert_eq!(steps(&rotation), [["testSecret"]]);
    assert!(rotation.succeeded, "{rotation:?}");
    let described = world.describe("demo").await;
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 1);
    assert_eq!(described.rotation_enabled(), Some(true));
    assert_eq!(described.last_rotated_date(), None);
}

#[tokio::test]
async fn a_canceled_rotation_stops_and_keeps_its_labels() {
    let world = serve(|client, event| async move {
        let cancel = client.cancel_rotate_secret().secret_id("demo");
        cancel.send().await.unwrap();
        function(client, event).await
    });
    let world = world.await;
    world.create("demo", "one").await;
    let rotation = rotated(&world).await;
    assert_eq!(steps(&rotation), [["createSecret"]]);
    assert_eq!(world.labels(&token("second")).await, ["AWSPENDING"]);
    let described = world.describe("demo").await;
    assert_eq!(described.rotation_enabled(), Some(false));
    assert!(described.rotation_lambda_arn().is_some());
}

#[tokio::test]
async fn a_rotation_without_a_function_or_without_a_value_is_refused_and_leaves_no_trace() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let (code, message) = refused(world.client.rotate_secret().secret_id("demo").send().await);
    assert_eq!(code, "InvalidRequestException");
    assert_eq!(
        message,
        "No Lambda rotation function ARN is associated with this secret."
    );

    let empty = world.client.create_secret().name("empty");
    empty.send().await.unwrap();
    let rotate = world.client.rotate_secret().secret_id("empty");
    let rotate = rotate.rotation_lambda_arn("arn:aws:lambda:any");
    assert_eq!(refused(rotate.send().await).0, "InvalidRequestException");
    let described = world.describe("empty").await;
    assert_eq!(described.rotation_enabled(), None);
    assert_eq!(described.rotation_lambda_arn(), None);
}

#[tokio::test]
async fn the_next_rotation_runs_wherever_awspending_stays() {
    let (alone, both) = (&["AWSCURRENT"][..], &["AWSCURRENT", "AWSPENDING"][..]);
    for (promotion, promoted, put_back) in [
        (Promotion::KeepsPending, both, alone),
        (Promotion::MovesPending, both, both),
        (Promotion::DropsPending, alone, alone),
    ] {
        let world = serve(function).await;
        world.service.set_promotion(promotion);
        let first = world.create("demo", "one").await;
        assert!(rotated(&world).await.succeeded);
        let labels = world.labels(&token("second")).await;
        assert_eq!(labels, promoted, "{promotion:?}");
        let third = token("third");
        rotate(&world, &third).send().await.unwrap();
        assert!(world.service.rotation("demo", &third).await.succeeded);
        assert_eq!(world.labels(&third).await, promoted, "{promotion:?}");

        let back = world.client.update_secret_version_stage();
        let back = back.secret_id("demo").version_stage("AWSCURRENT");
        let back = back
            .move_to_version_id(&first)
            .remove_from_version_id(third);
        back.send().await.unwrap();
        assert_eq!(world.labels(&first).await, put_back, "{promotion:?}");
    }
}

#[tokio::test]
async fn a_panic_of_the_function_fails_its_step() {
    let world = serve(|_, _| async { panic!("on purpose") }).await;
    world.create("demo", "one").await;
    let rotation = rotated(&world).await;
    assert_eq!((rotation.succeeded, rotation.attempts.len()), (false, 3));
}

#[tokio::test]
async fn rules_are_returned_with_their_number_of_days_and_cannot_be_sent_back_with_both() {
    let world = serve(function).await;
    world.create("demo", "one").await;
    let rules = |expression: &str| RotationRulesType::builder().schedule_expression(expression);
    for (expression, days) in [("rate(10 hours)", 1), ("cron(0 0 ? * 2 *)", 7)] {
        let rotate = rotate(&world, &token(expression)).rotate_immediately(false);
        rotate
            .rotation_rules(rules(expression).build())
            .send()
            .await
            .unwrap();
        world.service.rotation("demo", &token(expression)).await;
        let described = world.describe("demo").await;
        let answered = described.rotation_rules().unwrap();
        assert_eq!(answered.schedule_expression(), Some(expression));
        assert_eq!(answered.automatically_after_days(), Some(days));

        let back = world.client.rotate_secret().secret_id("demo");
        let (code, message) = refused(back.rotation_rules(answered.clone()).send().await);
        assert_eq!(code, "InvalidParameterException");
        assert_eq!(
            message,
            "You cannot specify both rotation frequency and schedule expression together."
        );
    }
}
