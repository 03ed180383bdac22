//! A server whose answers have another form than PostgreSQL's. Anyone who can write the secret chooses the server.

use super::*;
use crate::common::{
    STEPS,
    proxy::{Proxy, Side},
    warm,
};

const ERROR: &str = "DatabaseAnswerUnreadable";

/// A column whose type the driver asks the server for.
const OWN_TYPE: &str = "SELECT am FROM pg_am AS am";

/// What such a server answers in place of `{}`.
const FORMS: [&str; 4] = [
    "SELECT",
    "SELECT ARRAY[1.5]",
    OWN_TYPE,
    "SELECT nulls.* FROM (SELECT) AS one LEFT JOIN ({}) AS nulls ON false",
];

#[tokio::test]
async fn a_login_at_a_server_that_reports_nothing_about_itself_is_an_error() {
    let (world, proxy) = Proxy::in_a_world(warm(options())).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    for columns in ["SELECT", "SELECT 1"] {
        proxy.stop_at_query("session_user; ROLLBACK", Side::Instead(columns));
        let error = fails(&world, secret, "setSecret").await;
        assert_error(&error, ERROR, "rotationhost");
    }
}

#[tokio::test]
async fn no_server_is_asked_for_the_type_of_a_column() {
    let (world, proxy) = Proxy::in_a_world(warm(options())).await;
    let secret = world.single_user();
    stage_up_to(&world, secret, "setSecret").await;
    let fails_with = async |form| {
        proxy.replace(0, form);
        fails(&world, secret, "setSecret").await
    };
    assert_error(&fails_with(OWN_TYPE).await, ERROR, "PostgreSQL's own");
    assert_error(&fails_with("SELECT 1.5").await, ERROR, "rotationhost");
    invoke(&world, secret, "setSecret").await.outcome.unwrap();
}

/// Each question of a rotation and of a revocation gets each of these answers. An answer that is not looked at does no harm.
#[tokio::test]
async fn an_answer_of_another_form_is_an_error_and_the_step_can_be_repeated() {
    let (world, proxy) = Proxy::in_a_world(warm(options())).await;
    for (secret, least) in [(world.single_user(), 12), (world.alternating_users(), 50)] {
        let mut errors = Vec::new();
        stage(&world, secret);
        for step in STEPS.into_iter().chain(["revokeSecret"]) {
            for number in 0.. {
                for form in FORMS {
                    proxy.replace(number, form);
                    let done = match step {
                        "revokeSecret" => revoke(&world, secret).await,
                        _ => invoke(&world, secret, step).await.outcome,
                    };
                    errors.extend(done.err());
                }
                if !proxy.has_stopped() {
                    break;
                }
            }
        }
        for error in &errors {
            assert_error(error, ERROR, "rotationhost");
        }
        assert!(errors.len() >= least, "{secret}: {errors:?}");
        assert_eq!(version(&world, secret, "AWSCURRENT").await, TOKEN);
        log_in(&world, &current(&world, secret).await)
            .await
            .unwrap();
    }
}
