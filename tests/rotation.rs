//! A rotation that goes right, end to end: the real function, a real PostgreSQL, and labels as AWS documents them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

mod common;

use common::{STEPS, TOKEN, labels, logs_in, outcome, password, rotate, stored, world};
use local::postgres::Logins;
use serde_json::{Value, json};

#[tokio::test]
async fn after_a_rotation_the_new_password_logs_in_and_the_old_one_does_not() {
    let world = world().await;
    let secret = world.single_user();
    let old = password(&world, secret, "AWSCURRENT").await.unwrap();

    let rotation = rotate(&world, secret).await;

    assert!(rotation.succeeded, "{rotation:?}");
    let new = password(&world, secret, "AWSCURRENT").await.unwrap();
    assert_ne!(old, new);
    assert!(logs_in(&world, &new).await);
    assert!(!logs_in(&world, &old).await);
    assert_eq!(password(&world, secret, "AWSPREVIOUS").await.unwrap(), old);
}

#[tokio::test]
async fn a_rotation_can_follow_a_rotation() {
    let world = world().await;
    for _ in 0..3 {
        let rotation = rotate(&world, world.single_user()).await;
        assert!(
            rotation.succeeded && rotation.attempts.len() == 1,
            "{rotation:?}"
        );
    }
}

#[tokio::test]
async fn each_step_answers_what_it_did_and_says_so_when_it_is_repeated() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().stage(secret, TOKEN).unwrap();
    for (step, first, again) in [
        ("createSecret", "created", "already created"),
        ("setSecret", "changed", "already changed"),
        ("testSecret", "logged in", "logged in"),
        ("finishSecret", "promoted", "already current"),
    ] {
        assert_eq!(outcome(&world, secret, step).await, first, "{step}");
        let before = common::snapshot(&world, secret).await;
        assert_eq!(outcome(&world, secret, step).await, again, "{step} again");
        assert_eq!(
            common::snapshot(&world, secret).await,
            before,
            "{step} again"
        );
    }
    let after = common::snapshot(&world, secret).await;
    for step in STEPS {
        // AWSPENDING may stay on the promoted version, and what it holds still logs in
        let expected = if step == "testSecret" {
            "logged in"
        } else {
            "already current"
        };
        assert_eq!(
            outcome(&world, secret, step).await,
            expected,
            "{step} after the end"
        );
    }
    assert_eq!(common::snapshot(&world, secret).await, after);
}

#[tokio::test]
async fn the_document_comes_back_with_its_other_keys_and_their_order() {
    let world = world().await;
    let document =
        common::document_with(&world, "ümlaut", json!({ "z": [1.50, null], "a": "\"" })).await;
    let secret = "demo/keys";
    common::staged_secret(&world, secret, &document).await;
    for step in STEPS {
        outcome(&world, secret, step).await;
    }
    let old = password(&world, secret, "AWSPREVIOUS").await.unwrap();
    let new = password(&world, secret, "AWSCURRENT").await.unwrap();
    let now = stored(world.secrets_manager(), secret, "AWSCURRENT")
        .await
        .unwrap();
    let quoted = |password: &str| Value::from(password).to_string();
    assert_eq!(now, document.replace(&quoted(&old), &quoted(&new)));
}

#[tokio::test]
async fn a_rotation_makes_at_most_8_calls_and_2_logins_of_which_none_is_rejected() {
    let world = world().await;
    rotate(&world, world.single_user()).await; // not the first, which finds an untested credential
    let (calls, logins) = (
        world.secrets_manager().calls().len(),
        world.postgres().logins(world.role()).unwrap(),
    );

    assert!(rotate(&world, world.single_user()).await.succeeded);

    let calls = world.secrets_manager().calls().len() - calls;
    let Logins { accepted, rejected } = world.postgres().logins(world.role()).unwrap();
    assert!(calls <= 8, "{calls} calls");
    assert_eq!(
        (accepted - logins.accepted, rejected - logins.rejected),
        (2, 0)
    );
}

#[tokio::test]
async fn rotate_immediately_false_tests_the_current_credential_and_changes_nothing() {
    let world = world().await;
    let secret = world.single_user();
    let before = common::snapshot(&world, secret).await;
    let service = world.secrets_manager();
    let input = json!({ "SecretId": secret, "RotateImmediately": false });
    let token = service.call("RotateSecret", input).await.unwrap()["VersionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let rotation = service.rotation(secret, &token).await;

    let [step] = &rotation.attempts[0].steps[..] else {
        panic!("{rotation:?}")
    };
    assert_eq!(step.step, "testSecret");
    assert_eq!(
        step.invoked.outcome.as_ref().unwrap()["outcome"],
        "logged in"
    );
    assert_eq!(common::snapshot(&world, secret).await, before);
}

#[tokio::test]
async fn awsprevious_is_the_way_in_when_awscurrent_does_not_log_in() {
    let world = world().await;
    let secret = world.single_user();
    let before = password(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    // a restored backup: the server knows the password before this one
    let sql = format!(
        "ALTER ROLE \"{}\" PASSWORD '{}'",
        world.role(),
        before.replace('\'', "''")
    );
    world.postgres().execute(&sql).await.unwrap();

    world.secrets_manager().stage(secret, TOKEN).unwrap();
    outcome(&world, secret, "createSecret").await;
    assert_eq!(
        outcome(&world, secret, "setSecret").await,
        "changed by AWSPREVIOUS"
    );
    assert_eq!(outcome(&world, secret, "testSecret").await, "logged in");
    assert_eq!(outcome(&world, secret, "finishSecret").await, "promoted");
    assert!(
        logs_in(
            &world,
            &password(&world, secret, "AWSCURRENT").await.unwrap()
        )
        .await
    );
}

#[tokio::test]
async fn the_rotation_token_goes_to_put_secret_value_and_to_no_other_call() {
    let world = world().await;
    assert!(rotate(&world, world.single_user()).await.succeeded);
    let calls = world.secrets_manager().calls();
    for call in &calls {
        assert_eq!(
            call.rotation_token.is_some(),
            call.operation == "PutSecretValue",
            "{call:?}"
        );
    }
    assert!(calls.iter().any(|call| call.operation == "PutSecretValue"));
}

#[tokio::test]
async fn an_event_without_a_rotation_token_is_served() {
    let world = world().await;
    world
        .secrets_manager()
        .stage(world.single_user(), TOKEN)
        .unwrap();
    assert_eq!(
        outcome(&world, world.single_user(), "create_secret").await,
        "created"
    );
}

#[tokio::test]
async fn either_end_state_of_awspending_is_taken_for_finished() {
    use local::secrets_manager::labels::Promotion;
    let world = world().await;
    for (promotion, kept) in [
        (Promotion::KeepsPending, true),
        (Promotion::DropsPending, false),
    ] {
        let secret = format!("demo/{promotion:?}");
        world.secrets_manager().set_promotion(promotion);
        let document = stored(world.secrets_manager(), world.single_user(), "AWSCURRENT")
            .await
            .unwrap();
        common::staged_secret(&world, &secret, &document).await;
        for step in STEPS {
            outcome(&world, &secret, step).await;
        }
        let has_pending = labels(&world, &secret).await[TOKEN].contains(&"AWSPENDING".to_owned());
        assert_eq!(has_pending, kept, "{promotion:?}");
        for step in STEPS {
            let expected = if kept && step == "testSecret" {
                "logged in"
            } else {
                "already current"
            };
            assert_eq!(
                outcome(&world, &secret, step).await,
                expected,
                "{promotion:?} {step}"
            );
        }
        // the next secret of this loop needs a password that logs in
        let new = stored(world.secrets_manager(), &secret, "AWSCURRENT")
            .await
            .unwrap();
        let input = json!({ "SecretId": world.single_user(), "SecretString": new });
        world
            .secrets_manager()
            .call("PutSecretValue", input)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn with_password_hashing_by_the_server_the_rotation_works_too() {
    let mut options = common::options();
    options
        .function_env
        .push(("PASSWORD_HASHING".to_owned(), "server".to_owned()));
    let world = local::world::World::start(options).await.unwrap();
    assert!(rotate(&world, world.single_user()).await.succeeded);
    let verifier = common::verifier(world.postgres(), world.role())
        .await
        .unwrap();
    assert!(
        verifier.starts_with("SCRAM-SHA-256$4096:"),
        "the server hashed it"
    );
}

#[tokio::test]
async fn the_password_obeys_the_functions_environment() {
    let mut options = common::options();
    for (name, value) in [("PASSWORD_LENGTH", "48"), ("EXCLUDE_PUNCTUATION", "true")] {
        options
            .function_env
            .push((name.to_owned(), value.to_owned()));
    }
    let world = local::world::World::start(options).await.unwrap();
    assert!(rotate(&world, world.single_user()).await.succeeded);
    let password = password(&world, world.single_user(), "AWSCURRENT")
        .await
        .unwrap();
    assert_eq!(password.len(), 48);
    assert!(password.bytes().all(|c| c.is_ascii_alphanumeric()));
}
