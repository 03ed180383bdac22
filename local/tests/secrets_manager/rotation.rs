use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use aws_sdk_secretsmanager::{
    Client, operation::rotate_secret::builders::RotateSecretFluentBuilder, types::RotationRulesType,
};
use local::secrets_manager::{Rotation, labels::Promotion};
use serde_json::Value;

use super::{World, refused, serve, serve_without_function, token, value};

/// A rotation function that knows no database: it stores a new value and promotes it.
async fn function(client: Client, event: Value) -> Result<(), String> {
    let [step, arn, token, rotation_token] =
        ["Step", "SecretId", "ClientRequestToken", "RotationToken"]
            .map(|key| event[key].as_str().unwrap().to_owned());
    match step.as_str() {
        "createSecret" => {
            let put = client
                .put_secret_value()
                .secret_id(arn)
                .client_request_token(token)
                .secret_string("two");
            let put = put
                .rotation_token(rotation_token)
                .version_stages("AWSPENDING")
                .send()
                .await;
            put.map(drop).map_err(|error| format!("{error:?}"))
        }
        "finishSecret" => {
            let current = client
                .get_secret_value()
                .secret_id(&arn)
                .send()
                .await
                .unwrap()
                .version_id
                .unwrap();
            let promote = client
                .update_secret_version_stage()
                .secret_id(arn)
                .version_stage("AWSCURRENT");
            let promote = promote
                .move_to_version_id(token)
                .remove_from_version_id(current)
                .send()
                .await;
            promote.map(drop).map_err(|error| format!("{error:?}"))
        }
        _ => Ok(()),
    }
}

fn rotate(world: &World, token: &str) -> RotateSecretFluentBuilder {
    let rotate = world
        .client
        .rotate_secret()
        .secret_id("demo")
        .client_request_token(token);
    rotate.rotation_lambda_arn("arn:aws:lambda:eu-central-1:123456789012:function:rotation")
}

fn steps(rotation: &Rotation) -> Vec<Vec<&str>> {
    let steps = rotation.attempts.iter().map(|attempt| &attempt.steps);
    steps
        .map(|steps| steps.iter().map(|run| run.step.as_str()).collect())
        .collect()
}

#[tokio::test]
async fn a_rotation_invokes_the_four_steps_and_tells_when_the_next_is_due() {
    let world = serve(function).await;
    let first = world.create("demo", "one").await;
    let second = token("second");
    let rules = RotationRulesType::builder()
        .automatically_after_days(30)
        .build();
    let answer = rotate(&world, &second)
        .rotation_rules(rules)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version_id(), Some(second.as_str()));

    let rotation = world.service.rotation("demo", &second).await;
    assert!(rotation.succeeded);
    assert_eq!(
        steps(&rotation),
        [["createSecret", "setSecret", "testSecret", "finishSecret"]]
    );
    assert_eq!(
        rotation.attempts[0].steps[2].labels[&second],
        ["AWSPENDING"]
    );
    assert_eq!(
        rotation.attempts[0].steps[3].labels[&first],
        ["AWSPREVIOUS"]
    );
    assert_eq!(value(&world.client, "AWSCURRENT").await, "two");

    let described = world
        .client
        .describe_secret()
        .secret_id("demo")
        .send()
        .await
        .unwrap();
    assert_eq!(described.rotation_enabled(), Some(true));
    let (last, next) = (
        described.last_rotated_date().unwrap(),
        described.next_rotation_date().unwrap(),
    );
    assert_eq!(next.secs() / 86_400 - last.secs() / 86_400, 30);
    assert!(
        world
            .service
            .calls()
            .iter()
            .any(|call| call.rotation_token.is_some())
    );
}

#[tokio::test]
async fn the_token_is_staged_without_a_value_before_the_first_step() {
    let world = serve(|client, event| async move {
        let (arn, token) = (
            event["SecretId"].as_str().unwrap(),
            event["ClientRequestToken"].as_str().unwrap(),
        );
        let labels = client
            .describe_secret()
            .secret_id(arn)
            .send()
            .await
            .unwrap()
            .version_ids_to_stages
            .unwrap();
        let read = client
            .get_secret_value()
            .secret_id(arn)
            .version_id(token)
            .version_stage("AWSPENDING")
            .send()
            .await;
        Err(format!("{:?} {}", labels[token], refused(read).0))
    });
    let world = world.await;
    world.create("demo", "one").await;
    rotate(&world, &token("second")).send().await.unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    let error = rotation.attempts[0].steps[0]
        .invoked
        .outcome
        .clone()
        .unwrap_err();
    assert_eq!(
        error.error_message,
        r#"["AWSPENDING"] ResourceNotFoundException"#
    );
}

#[tokio::test]
async fn a_failed_step_starts_the_rotation_over_with_the_same_token() {
    let failures = Arc::new(AtomicUsize::new(2));
    let world = serve(move |client, event| {
        let failures = failures.clone();
        async move {
            let fails = event["Step"] == "setSecret"
                && failures
                    .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
                    .is_ok();
            if fails {
                Err("not yet".to_owned())
            } else {
                function(client, event).await
            }
        }
    });
    let world = world.await;
    world.create("demo", "one").await;
    rotate(&world, &token("second")).send().await.unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    let failed = vec!["createSecret", "setSecret"];
    let all = vec!["createSecret", "setSecret", "testSecret", "finishSecret"];
    assert_eq!(steps(&rotation), [failed.clone(), failed, all]);
    assert!(rotation.succeeded);
}

#[tokio::test]
async fn a_rotation_that_is_not_promoted_has_failed_and_blocks_the_next_one_until_it_is_reattempted()
 {
    let promotes = Arc::new(AtomicUsize::new(0));
    let flag = promotes.clone();
    let world = serve(move |client, event| {
        let skips = event["Step"] == "finishSecret" && flag.load(SeqCst) == 0;
        async move {
            if skips {
                Ok(())
            } else {
                function(client, event).await
            }
        }
    });
    let world = world.await;
    world.create("demo", "one").await;
    rotate(&world, &token("second")).send().await.unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    assert_eq!((rotation.succeeded, rotation.attempts.len()), (false, 3));

    let (code, message) = refused(rotate(&world, &token("third")).send().await);
    assert_eq!(code, "InvalidRequestException");
    assert_eq!(
        message,
        "A previous rotation isn't complete. That rotation will be reattempted."
    );

    promotes.store(1, SeqCst);
    rotate(&world, &token("second")).send().await.unwrap();
    assert!(
        world
            .service
            .rotation("demo", &token("second"))
            .await
            .succeeded
    );
    rotate(&world, &token("second")).send().await.unwrap();
    assert_eq!(
        world
            .service
            .rotation("demo", &token("second"))
            .await
            .attempts
            .len(),
        4,
        "a late repetition does nothing"
    );
}

#[tokio::test]
async fn a_value_put_by_hand_abandons_the_rotation() {
    let world = serve(|client, event| async move {
        if event["Step"] == "setSecret" {
            client
                .put_secret_value()
                .secret_id("demo")
                .secret_string("by hand")
                .send()
                .await
                .unwrap();
            return Err("the token has lost AWSPENDING".to_owned());
        }
        function(client, event).await
    });
    let world = world.await;
    world.create("demo", "one").await;
    rotate(&world, &token("second")).send().await.unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    assert_eq!((rotation.succeeded, rotation.attempts.len()), (false, 1));
    assert!(world.labels(&token("second")).await.is_empty());
    assert_eq!(value(&world.client, "AWSCURRENT").await, "by hand");
}

#[tokio::test]
async fn a_test_of_the_configuration_runs_test_secret_on_a_copy_and_takes_it_away() {
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
    rotate(&world, &token("second"))
        .rotate_immediately(false)
        .send()
        .await
        .unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    assert_eq!(steps(&rotation), [["testSecret"]]);
    assert!(rotation.succeeded, "{rotation:?}");
    let described = world
        .client
        .describe_secret()
        .secret_id("demo")
        .send()
        .await
        .unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 1);
    assert_eq!(
        (described.rotation_enabled(), described.last_rotated_date()),
        (Some(true), None)
    );
}

#[tokio::test]
async fn a_canceled_rotation_stops_and_keeps_its_labels() {
    let world = serve(|client, event| async move {
        client
            .cancel_rotate_secret()
            .secret_id("demo")
            .send()
            .await
            .unwrap();
        function(client, event).await
    });
    let world = world.await;
    world.create("demo", "one").await;
    rotate(&world, &token("second")).send().await.unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    assert_eq!(steps(&rotation), [["createSecret"]]);
    assert_eq!(world.labels(&token("second")).await, ["AWSPENDING"]);
    let described = world
        .client
        .describe_secret()
        .secret_id("demo")
        .send()
        .await
        .unwrap();
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

    world
        .client
        .create_secret()
        .name("empty")
        .send()
        .await
        .unwrap();
    let rotate = world
        .client
        .rotate_secret()
        .secret_id("empty")
        .rotation_lambda_arn("arn:aws:lambda:any");
    assert_eq!(refused(rotate.send().await).0, "InvalidRequestException");
    let described = world
        .client
        .describe_secret()
        .secret_id("empty")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            described.rotation_enabled(),
            described.rotation_lambda_arn()
        ),
        (None, None)
    );
}

#[tokio::test]
async fn a_promotion_may_also_take_awspending_away() {
    let world = serve(function).await;
    world.service.set_promotion(Promotion::DropsPending);
    world.create("demo", "one").await;
    rotate(&world, &token("second")).send().await.unwrap();
    assert!(
        world
            .service
            .rotation("demo", &token("second"))
            .await
            .succeeded
    );
    assert_eq!(world.labels(&token("second")).await, ["AWSCURRENT"]);
}

#[tokio::test]
async fn a_function_that_panics_has_failed_its_step() {
    let world = serve(|_, _| async { panic!("on purpose") }).await;
    world.create("demo", "one").await;
    rotate(&world, &token("second")).send().await.unwrap();
    let rotation = world.service.rotation("demo", &token("second")).await;
    assert_eq!((rotation.succeeded, rotation.attempts.len()), (false, 3));
}
