//! A rotation that succeeds, end to end: the real function, a real PostgreSQL, and labels as AWS documents them.

#![cfg(test)]

mod common;

use common::{
    STEPS, TOKEN, all_steps, call, current, document_with, execute, labels, log_in, logs_in,
    options_with, outcome, password, rotate, snapshot, stage, staged_secret, start, stored,
    version, warm_world, world, world_where,
};
use local::{postgres::Logins, secrets_manager::labels::Promotion};
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
async fn a_rotation_can_follow_a_rotation_wherever_awspending_is_left() {
    for promotion in Promotion::ALL {
        let world = world_where(promotion).await;
        for secret in [world.single_user(), world.alternating_users()] {
            for _ in 0..3 {
                let rotation = rotate(&world, secret).await;
                let at_once = rotation.succeeded && rotation.attempts.len() == 1;
                assert!(at_once, "{promotion:?}: {rotation:?}");
            }
        }
    }
}

#[tokio::test]
async fn after_awscurrent_was_moved_back_by_hand_it_logs_in_when_the_next_rotations_are_over() {
    for promotion in Promotion::ALL {
        let world = world_where(promotion).await;
        for secret in [world.single_user(), world.alternating_users()] {
            assert!(rotate(&world, secret).await.succeeded);
            let (new, old) = (
                version(&world, secret, "AWSCURRENT").await,
                version(&world, secret, "AWSPREVIOUS").await,
            );
            let back = json!({
                "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": old, "RemoveFromVersionId": new,
            });
            call(&world, "UpdateSecretVersionStage", back).await;

            let service = world.secrets_manager();
            let begun = service.rotate(secret).await;
            // if AWSPENDING stayed behind, its rotation is incomplete again, and the service continues it
            assert_eq!(begun.is_err(), promotion == Promotion::KeepsPending);
            let rotation = match begun {
                Ok(rotation) => rotation,
                Err(_) => service.rotation(secret, &new).await,
            };
            for rotation in [rotation, rotate(&world, secret).await] {
                assert!(rotation.succeeded, "{promotion:?}: {rotation:?}");
            }
            let current = current(&world, secret).await;
            log_in(&world, &current).await.unwrap();
        }
    }
}

#[tokio::test]
async fn each_step_reports_what_it_did_and_a_repeated_step_says_so() {
    for promotion in Promotion::ALL {
        assert_each_step_can_be_repeated(promotion).await;
    }
}

async fn assert_each_step_can_be_repeated(promotion: Promotion) {
    let world = world_where(promotion).await;
    let secret = world.single_user();
    stage(&world, secret);
    for (step, first, again) in [
        ("createSecret", "created", "already created"),
        ("setSecret", "changed", "already changed"),
        ("testSecret", "logged in", "logged in"),
        ("finishSecret", "promoted", "already current"),
    ] {
        assert_eq!(outcome(&world, secret, step).await, first, "{step}");
        let before = snapshot(&world, secret).await;
        assert_eq!(outcome(&world, secret, step).await, again, "{step} again");
        assert_eq!(snapshot(&world, secret).await, before, "{step} again");
    }
    let after = snapshot(&world, secret).await;
    let pending = labels(&world, secret).await[TOKEN].contains(&"AWSPENDING".to_owned());
    assert_eq!(pending, promotion != Promotion::DropsPending);
    for step in STEPS {
        let expected = match step {
            // if AWSPENDING still exists, it logs in
            "testSecret" if pending => "logged in",
            _ => "already current",
        };
        let said = outcome(&world, secret, step).await;
        assert_eq!(said, expected, "{promotion:?}, {step} after the end");
    }
    assert_eq!(snapshot(&world, secret).await, after);
}

#[tokio::test]
async fn a_rotation_keeps_the_documents_other_keys_and_their_order() {
    let world = world().await;
    let others = json!({ "z": [1.50, null], "a": "\"" });
    let document = document_with(&world, "ümlaut", others).await;
    let secret = "demo/keys";
    staged_secret(&world, secret, &document).await;
    all_steps(&world, secret).await;
    let old = password(&world, secret, "AWSPREVIOUS").await.unwrap();
    let new = password(&world, secret, "AWSCURRENT").await.unwrap();
    let now = stored(world.secrets_manager(), secret, "AWSCURRENT").await;
    let quoted = |password: &str| Value::from(password).to_string();
    let expected = document.replace(&quoted(&old), &quoted(&new));
    assert_eq!(now.unwrap(), expected);
}

#[tokio::test]
async fn a_rotation_makes_8_calls_and_2_logins_or_13_and_3_where_each_step_has_a_new_process() {
    for (world, expected) in [(warm_world().await, (8, 2, 0)), (world().await, (13, 3, 0))] {
        let cost = || {
            let Logins { accepted, rejected } = world.postgres().logins(world.role()).unwrap();
            (world.secrets_manager().calls().len(), accepted, rejected)
        };
        rotate(&world, world.single_user()).await; // the first rotation finds an untested credential, so not that one
        let before = cost();
        assert!(rotate(&world, world.single_user()).await.succeeded);
        let after = cost();
        let spent = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        assert_eq!(spent, expected);
    }
}

#[tokio::test]
async fn rotate_immediately_false_tests_the_current_credential_and_changes_nothing() {
    let world = world().await;
    let secret = world.single_user();
    let before = snapshot(&world, secret).await;
    let service = world.secrets_manager();
    let input = json!({ "SecretId": secret, "RotateImmediately": false });
    let answer = call(&world, "RotateSecret", input).await;
    let token = answer["VersionId"].as_str().unwrap();
    let rotation = service.rotation(secret, token).await;

    let [step] = &rotation.attempts[0].steps[..] else {
        panic!("{rotation:?}")
    };
    assert_eq!(step.step, "testSecret");
    let answer = step.invoked.outcome.as_ref().unwrap();
    assert_eq!(answer["outcome"], "logged in");
    assert_eq!(snapshot(&world, secret).await, before);
}

#[tokio::test]
async fn awsprevious_is_used_if_awscurrent_does_not_log_in() {
    let world = world().await;
    let secret = world.single_user();
    let before = password(&world, secret, "AWSCURRENT").await.unwrap();
    assert!(rotate(&world, secret).await.succeeded);
    // a restored backup: the server has the password before this one
    let (role, before) = (world.role(), before.replace('\'', "''"));
    execute(&world, &format!("ALTER ROLE {role} PASSWORD '{before}'")).await;

    stage(&world, secret);
    for (step, expected) in [
        ("createSecret", "created"),
        ("setSecret", "changed by AWSPREVIOUS"),
        ("testSecret", "logged in"),
        ("finishSecret", "promoted"),
    ] {
        assert_eq!(outcome(&world, secret, step).await, expected);
    }
    let current = current(&world, secret).await;
    log_in(&world, &current).await.unwrap();
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
    let secret = world.single_user();
    stage(&world, secret);
    let said = outcome(&world, secret, "create_secret").await;
    assert_eq!(said, "created");
}

#[tokio::test]
async fn with_password_hashing_by_the_server_the_rotation_works_too() {
    let world = start(options_with(&[("PASSWORD_HASHING", "server")])).await;
    assert!(rotate(&world, world.single_user()).await.succeeded);
    let verifier = common::verifier(world.postgres(), world.role()).await;
    let hashed = verifier.unwrap().starts_with("SCRAM-SHA-256$4096:");
    assert!(hashed, "the server hashed it");
}

#[tokio::test]
async fn the_password_follows_the_functions_environment() {
    let policy = [("PASSWORD_LENGTH", "48"), ("EXCLUDE_PUNCTUATION", "true")];
    let world = start(options_with(&policy)).await;
    let secret = world.single_user();
    assert!(rotate(&world, secret).await.succeeded);
    let password = password(&world, secret, "AWSCURRENT").await.unwrap();
    assert_eq!(password.len(), 48);
    assert!(password.bytes().all(|c| c.is_ascii_alphanumeric()));
}
