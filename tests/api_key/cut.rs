//! The function is killed, or a request is lost, at each call that a rotation makes.

use super::{assert_no_orphan, document, key, service, world};
use crate::common::{STEPS, all_steps, failure, invoke, rotate, stage, stage_up_to};
use local::{
    secrets_manager::{Behavior, Fault, Hang, When},
    world::World,
};

/// Each request to Secrets Manager and to the API-key service, in the order in which a rotation makes them.
const REQUESTS: [(&str, &str); 17] = [
    ("createSecret", "DescribeSecret"),
    ("createSecret", "GetSecretValue"),
    ("createSecret", "GET /keys"),
    ("createSecret", "DELETE /keys"),
    ("createSecret", "POST /keys"),
    ("createSecret", "second GET /keys"),
    ("createSecret", "PutSecretValue"),
    ("createSecret", "third GET /keys"),
    ("setSecret", "GetSecretValue"),
    ("testSecret", "GetSecretValue"),
    ("testSecret", "GET /me"),
    ("finishSecret", "DescribeSecret"),
    ("finishSecret", "UpdateSecretVersionStage"),
    // again where a rotation makes a second request of this kind
    ("createSecret", "second GetSecretValue"),
    ("createSecret", "third GetSecretValue"),
    ("createSecret", "fourth GetSecretValue"),
    ("setSecret", "second GetSecretValue"),
];

/// Injects this into the request; "second" and so on let earlier ones pass.
fn inject(world: &World, request: &str, behavior: Behavior) {
    let (before, request) = match request.split_once(' ') {
        Some(("second", request)) => (1, request),
        Some(("third", request)) => (2, request),
        Some(("fourth", request)) => (3, request),
        _ => (0, request),
    };
    for _ in 0..before {
        // a fault without effect lets one request pass
        match request.contains('/') {
            true => service(world).inject(request, Behavior::Lag),
            false => {
                let released = Hang::default();
                released.release();
                let passing = Behavior::Hang(When::BeforeEffect, released);
                world.secrets_manager().inject(Fault::on(request, passing));
            }
        }
    }
    match request.contains('/') {
        true => service(world).inject(request, behavior),
        false => {
            world.secrets_manager().inject(Fault::on(request, behavior));
        }
    }
}

/// A world in its second rotation, before this step: it has an AWSPREVIOUS to end.
async fn before(step: &str) -> World {
    let world = world("unbounded").await;
    assert!(rotate(&world, world.api_key()).await.succeeded);
    stage_up_to(&world, world.api_key(), step).await;
    world
}

/// The service accepts AWSCURRENT.
async fn assert_the_current_key_is_good(world: &World, case: &str) {
    let current = key(world, "AWSCURRENT").await.unwrap();
    assert!(service(world).keys().contains(&current), "{case}");
}

/// Kills the function while it waits for the answer to this request. The request may go on when the hang is released.
async fn killed_in(world: &World, step: &str, request: &str, when: When) -> Hang {
    let hang = Hang::default();
    inject(world, request, Behavior::Hang(when, hang.clone()));
    let (invoked, ()) = tokio::join!(invoke(world, world.api_key(), step), async {
        hang.reached().await;
        world.function().kill().await;
    });
    let error = invoked.outcome.unwrap_err();
    assert_eq!(error.error_type, "Runtime.ExitError", "{request}, {when:?}");
    hang
}

/// A world whose service supports idempotency keys, or seems to, and has no list of keys.
async fn world_with_idempotency_key() -> World {
    let world = world("unbounded").await;
    super::edit(&world, |document| {
        document.as_object_mut().unwrap().remove("list");
        document["create"]["headers"]["idempotency-key"] = "{token}".into();
    })
    .await;
    stage(&world, world.api_key());
    world
}

/// What the service does after a failure: all steps again, with the same token.
async fn assert_the_retry_reaches_the_end(world: &World, case: &str) {
    let stored = document(world, "AWSPENDING").await;
    for step in STEPS {
        let invoked = invoke(world, world.api_key(), step).await;
        assert!(
            invoked.outcome.is_ok(),
            "{case}, {step}: {:?}",
            invoked.outcome
        );
        assert_the_current_key_is_good(world, case).await;
    }
    let current = document(world, "AWSCURRENT").await;
    if stored.is_some() {
        assert!(stored == current, "{case}: a second key was stored");
    }
    assert_no_orphan(world, true, case).await;
}

#[tokio::test]
async fn after_a_kill_in_any_request_the_retry_completes_and_leaves_no_orphan() {
    for (step, request) in REQUESTS {
        for when in [When::BeforeEffect, When::AfterEffect] {
            let case = format!("{step}, {request}, {when:?}");
            let world = before(step).await;
            let hang = killed_in(&world, step, request, when).await;
            assert_the_current_key_is_good(&world, &case).await;
            hang.release();
            assert_the_retry_reaches_the_end(&world, &case).await;
        }
    }
}

#[tokio::test]
async fn a_lost_answer_leaves_no_orphan_either() {
    for (step, request) in REQUESTS {
        if !request.contains('/') {
            continue; // the SDK asks Secrets Manager again
        }
        for when in [When::BeforeEffect, When::AfterEffect] {
            let case = format!("{step}, {request}, {when:?}");
            let world = before(step).await;
            inject(&world, request, Behavior::Drop(when));
            let error = failure(&world, world.api_key(), step).await;
            assert_eq!(error.error_type, "ServiceUnreachable", "{case}: {error}");
            assert_the_current_key_is_good(&world, &case).await;
            assert_the_retry_reaches_the_end(&world, &case).await;
        }
    }
}

#[tokio::test]
async fn with_room_for_it_an_orphan_of_a_crash_is_deleted_when_its_successor_is_stored() {
    for (request, when) in [
        ("POST /keys", When::AfterEffect),
        ("PutSecretValue", When::BeforeEffect),
    ] {
        let world = before("createSecret").await;
        service(&world).set_limit(9);
        let hang = killed_in(&world, "createSecret", request, when).await;
        hang.release();
        assert_the_retry_reaches_the_end(&world, request).await;
    }
}

#[tokio::test]
async fn with_an_idempotency_key_a_crash_leaves_no_orphan_even_without_a_list() {
    for request in ["POST /keys", "PutSecretValue"] {
        for when in [When::BeforeEffect, When::AfterEffect] {
            let case = format!("{request}, {when:?}");
            let world = world_with_idempotency_key().await;
            service(&world).set_idempotent();
            let hang = killed_in(&world, "createSecret", request, when).await;
            hang.release();
            assert_the_retry_reaches_the_end(&world, &case).await;
        }
    }
}

#[tokio::test]
async fn a_step_delivered_twice_at_once_makes_one_key_only() {
    for _ in 0..5 {
        let world = world("unbounded").await;
        service(&world).set_limit(3);
        stage(&world, world.api_key());
        for step in STEPS {
            let (one, other) = tokio::join!(
                invoke(&world, world.api_key(), step),
                invoke(&world, world.api_key(), step)
            );
            for invoked in [one, other] {
                assert!(invoked.outcome.is_ok(), "{step}: {:?}", invoked.outcome);
            }
            assert_the_current_key_is_good(&world, step).await;
        }
        assert_no_orphan(&world, true, "after all").await;
    }
}

#[tokio::test]
async fn two_deliveries_leave_no_orphan_at_a_service_that_ignores_idempotency_keys() {
    let world = world_with_idempotency_key().await;
    service(&world).set_limit(3);
    // the first one has found nothing stored when the second one stores
    let hang = Hang::default();
    let hangs = Behavior::Hang(When::BeforeEffect, hang.clone());
    inject(&world, "PutSecretValue", hangs);
    let step = || invoke(&world, world.api_key(), "createSecret");
    let (one, other) = tokio::join!(step(), async {
        hang.reached().await;
        let other = step().await;
        hang.release();
        other
    });
    assert_eq!(one.outcome.unwrap()["outcome"], "already created");
    assert_eq!(other.outcome.unwrap()["outcome"], "created");
    let keys = service(&world).keys();
    let pending = key(&world, "AWSPENDING").await.unwrap();
    assert_eq!(keys, [key(&world, "AWSCURRENT").await.unwrap(), pending]);
}

#[tokio::test]
async fn a_step_delivered_again_after_the_end_changes_nothing_more() {
    let world = before("none").await;
    let (documents, keys) = (document(&world, "AWSCURRENT").await, service(&world).keys());
    all_steps(&world, world.api_key()).await;
    assert!(document(&world, "AWSCURRENT").await == documents);
    assert_eq!(service(&world).keys(), keys);
}
