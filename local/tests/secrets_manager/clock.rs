//! What happens by itself, on a clock that the test moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use local::secrets_manager::{Event, Fired, Retry};
use tokio::sync::Semaphore;

use super::{World, refused, rotation::function, serve, serve_without_function, token, value};

const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:rotation";
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The secret `demo`, to be rotated every 30 days.
async fn monthly(world: &World) -> String {
    let version = world.create("demo", "one").await;
    let configured = world.service.configure_rotation("demo", FUNCTION, 30);
    configured.unwrap();
    version
}

/// How long it is until something happens by itself.
fn until_due(world: &World) -> Duration {
    let due = world.service.schedule()[0].at;
    (due - world.service.clock().now()).to_std().unwrap()
}

/// Moves the clock; the tokens of the rotations that began.
fn advance(world: &World, by: Duration) -> Vec<String> {
    let fired = world.service.advance(by).unwrap().into_iter();
    fired.map(|fired| fired.begun.unwrap()).collect()
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let happened = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let happened = tokio::time::timeout(HOUR / 60, happened).await;
    assert!(happened.is_ok(), "{what}: not within a minute");
}

#[tokio::test]
async fn one_rotation_begins_by_itself_in_each_window() {
    let world = serve(function).await;
    monthly(&world).await;
    let due = until_due(&world);
    assert_eq!(advance(&world, due - HOUR), [""; 0]);

    let began = advance(&world, 2 * HOUR);
    assert_eq!(began.len(), 1);
    assert!(world.service.rotation("demo", &began[0]).await.succeeded);
    assert_eq!(value(&world.client, "AWSCURRENT").await, "two");

    // the window is open until midnight
    assert_eq!(advance(&world, DAY / 2), [""; 0]);
    let next = until_due(&world);
    assert!((28 * DAY..30 * DAY).contains(&next), "{next:?}");
}

#[tokio::test]
async fn a_rotation_also_begins_as_real_time_passes() {
    let world = serve(function).await;
    monthly(&world).await;
    let due = until_due(&world);
    advance(&world, due - Duration::from_millis(300));
    until("it is rotated", async || {
        value(&world.client, "AWSCURRENT").await == "two"
    })
    .await;
}

#[tokio::test]
async fn one_rotation_begins_even_if_the_clock_jumps_over_many_windows() {
    let world = serve(function).await;
    monthly(&world).await;
    let began = advance(&world, 400 * DAY);
    assert_eq!(began.len(), 1);
    assert!(world.service.rotation("demo", &began[0]).await.succeeded);
    let next = until_due(&world);
    assert!((29 * DAY..=30 * DAY).contains(&next), "{next:?}");
}

#[tokio::test]
async fn a_rotation_that_failed_is_not_repeated_in_its_window_but_in_the_next_one() {
    let works = Arc::new(AtomicBool::new(false));
    let flag = works.clone();
    let world = serve(move |client, event| {
        let works = flag.load(SeqCst);
        async move {
            match works {
                true => function(client, event).await,
                false => Err("not yet".to_owned()),
            }
        }
    });
    let world = world.await;
    monthly(&world).await;
    let due = until_due(&world);
    let began = advance(&world, due + HOUR);
    let failed = world.service.rotation("demo", &began[0]).await;
    assert_eq!((failed.succeeded, failed.attempts.len()), (false, 3));
    assert_eq!(advance(&world, DAY), [""; 0]);
    let described = world.describe("demo").await;
    let due = described.next_rotation_date().unwrap().secs();
    assert!(due < world.service.clock().now().timestamp(), "it is late");

    works.store(true, SeqCst);
    let next = until_due(&world);
    let [
        Fired {
            begun: Err(refused),
            ..
        },
    ] = &world.service.advance(next + HOUR).unwrap()[..]
    else {
        panic!("a previous rotation isn't complete");
    };
    assert_eq!(refused.code, "InvalidRequestException");
    let again = world.service.rotation("demo", &began[0]).await;
    assert_eq!((again.succeeded, again.attempts.len()), (true, 4));
}

#[tokio::test]
async fn a_rotation_that_is_due_during_another_one_waits_for_its_end() {
    let ends = Arc::new(Semaphore::new(0));
    let permits = ends.clone();
    let world = serve(move |_, _| {
        let permits = permits.clone();
        async move {
            permits.acquire().await.unwrap().forget();
            Err("not yet".to_owned())
        }
    });
    let world = world.await;
    let (attempts, interval) = (1, Duration::ZERO);
    world.service.set_retry(Retry { attempts, interval });
    monthly(&world).await;
    let second = token("second");
    let begin = world.client.rotate_secret().secret_id("demo");
    begin.client_request_token(&second).send().await.unwrap();
    assert_eq!(advance(&world, 40 * DAY), [""; 0]);
    ends.add_permits(2);
    until("it is attempted again", async || {
        let rotation = world.service.rotation("demo", &second).await;
        rotation.attempts.len() == 2
    })
    .await;
}

#[tokio::test]
async fn a_canceled_rotation_or_a_deleted_secret_does_not_rotate_until_it_is_restored() {
    let world = serve(function).await;
    monthly(&world).await;
    let cancel = world.client.cancel_rotate_secret().secret_id("demo");
    cancel.send().await.unwrap();
    assert_eq!(world.service.schedule(), []);
    assert_eq!(advance(&world, 40 * DAY), [""; 0]);

    let configured = world.service.configure_rotation("demo", FUNCTION, 30);
    configured.unwrap();
    let window_opens = until_due(&world);
    let delete = world.client.delete_secret().secret_id("demo");
    delete.recovery_window_in_days(30).send().await.unwrap();
    assert_eq!(world.service.schedule()[0].event, Event::Deletion);
    assert!(
        window_opens < until_due(&world),
        "it opens before the deletion"
    );
    assert_eq!(advance(&world, window_opens), [""; 0]);

    let restore = world.client.restore_secret().secret_id("demo");
    restore.send().await.unwrap();
    until("it is rotated, for its window has passed", async || {
        value(&world.client, "AWSCURRENT").await == "two"
    })
    .await;
}

#[tokio::test]
async fn a_deleted_secret_is_gone_when_its_recovery_window_is_over_and_its_name_is_free() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let delete = world.client.delete_secret().secret_id("demo");
    delete.recovery_window_in_days(7).send().await.unwrap();
    advance(&world, 6 * DAY);
    assert!(world.describe("demo").await.deleted_date().is_some());
    advance(&world, DAY);
    let described = world.client.describe_secret().secret_id("demo");
    let (code, _) = refused(described.send().await);
    assert_eq!(code, "ResourceNotFoundException");
    world.create("demo", "two").await;
}

#[tokio::test]
async fn the_interval_between_two_attempts_follows_the_worlds_clock() {
    let world = serve(|_, _| async { Err("not yet".to_owned()) }).await;
    let (attempts, interval) = (3, DAY);
    world.service.set_retry(Retry { attempts, interval });
    world.create("demo", "one").await;
    let second = token("second");
    let begin = world.client.rotate_secret().secret_id("demo");
    let begin = begin.rotation_lambda_arn(FUNCTION);
    begin.client_request_token(&second).send().await.unwrap();
    let ended = AtomicBool::new(false);
    let moves = async {
        until("three attempts were made", async || {
            advance(&world, DAY);
            ended.load(SeqCst)
        })
        .await;
    };
    let ends = async {
        let rotation = world.service.rotation("demo", &second).await;
        ended.store(true, SeqCst);
        assert_eq!(rotation.attempts.len(), 3);
    };
    tokio::join!(moves, ends);
}

#[tokio::test]
async fn the_clock_stays_within_the_range_of_a_date() {
    let world = serve_without_function().await;
    let before = world.service.clock().now();
    for by in [Duration::MAX, 10_000 * 365 * DAY] {
        let error = world.service.advance(by).unwrap_err();
        assert!(error.to_string().contains("move it by less"), "{error}");
    }
    assert!(world.service.clock().now() - before < chrono::TimeDelta::days(1));
}
