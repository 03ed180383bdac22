//! A rotation may be cut off anywhere, and nobody is locked out.
//!
//! The real steps run over a store and a database in memory. Each call to either is cut once, before and after
//! its effect, by a crash (the call never comes back) and by an error (it comes back without an answer), and
//! then the service does what it does: it begins again with createSecret and the same token. The same with
//! real processes, and a real PostgreSQL, is in tests/killed.rs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing unwrap in a test is a failing test"
)]

#[path = "crash/world.rs"]
mod world;

use world::{Cut, How, STEPS, Users, When, World};

const BOTH: [Users; 2] = [Users::Single, Users::Alternating];

/// How many calls a rotation makes in which nothing goes wrong.
async fn calls_of_a_rotation(users: Users) -> usize {
    let world = World::new(users);
    assert!(world.attempt().await);
    world.assert_finished("undisturbed");
    world.calls.get()
}

fn cuts(calls: usize) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for call in 0..calls {
        for when in [When::BeforeItsEffect, When::AfterItsEffect] {
            for how in [How::Crash, How::Error] {
                cuts.push(Cut { call, when, how });
            }
        }
    }
    cuts
}

#[tokio::test]
async fn a_rotation_that_goes_right_makes_as_few_calls_as_promised() {
    // to the store, logins, changes and a proof; what the target does inside a change is counted at a real server
    assert_eq!(calls_of_a_rotation(Users::Single).await, 8 + 2 + 1 + 1);
    assert_eq!(
        calls_of_a_rotation(Users::Alternating).await,
        10 + 2 + 2 + 1
    );
}

#[tokio::test]
async fn after_any_cut_some_version_logs_in_and_the_retry_reaches_the_end() {
    for users in BOTH {
        for cut in cuts(calls_of_a_rotation(users).await) {
            let case = format!("{users:?}, {cut:?}");
            let world = World::new(users);
            world.cut.set(Some(cut));
            assert!(!world.attempt().await, "{case}: the cut was not reached");
            world.assert_nobody_is_locked_out(&case);
            world.cut.set(None);
            assert!(world.attempt().await, "{case}: the retry failed");
            world.assert_finished(&case);
        }
    }
}

#[tokio::test]
async fn after_a_second_cut_in_the_retry_it_still_reaches_the_end() {
    for users in BOTH {
        let cuts = cuts(calls_of_a_rotation(users).await);
        let mut attempts_cut = 0;
        for (first, second) in cuts
            .iter()
            .flat_map(|first| cuts.iter().map(move |second| (first, second)))
        {
            let case = format!("{users:?}, {first:?}, then {second:?}");
            let world = World::new(users);
            for cut in [first, second] {
                world.calls.set(0);
                world.cut.set(Some(*cut));
                attempts_cut += usize::from(!world.attempt().await);
                world.assert_nobody_is_locked_out(&case);
            }
            world.cut.set(None);
            assert!(world.attempt().await, "{case}: the last retry failed");
            world.assert_finished(&case);
        }
        assert!(
            attempts_cut > cuts.len() * cuts.len(),
            "the second cuts were not reached: {attempts_cut}"
        );
    }
}

#[tokio::test]
async fn a_step_delivered_twice_changes_nothing_more() {
    for users in BOTH {
        let world = World::new(users);
        for step in STEPS {
            world.deliver(step).await.unwrap().unwrap();
            let before = world.state();
            world.deliver(step).await.unwrap().unwrap();
            assert_eq!(world.state(), before, "{users:?}, {step}");
        }
        world.assert_finished("twice");
    }
}

#[tokio::test]
async fn all_steps_delivered_again_after_the_end_change_nothing_more() {
    for users in BOTH {
        let world = World::new(users);
        assert!(world.attempt().await);
        let before = world.state();
        assert!(world.attempt().await);
        assert_eq!(world.state(), before, "{users:?}");
    }
}

#[tokio::test]
async fn a_step_delivered_twice_at_once_ends_as_if_delivered_once_however_the_two_interleave() {
    for (users, schedule) in BOTH
        .into_iter()
        .flat_map(|users| (0..4096).map(move |bits| (users, bits)))
    {
        let world = World::new(users);
        for step in STEPS {
            let case = format!("{users:?}, {step}, schedule {schedule:b}");
            world.schedule.set(schedule);
            let (one, other) = tokio::join!(world.deliver(step), world.deliver(step));
            for result in [one, other] {
                assert!(matches!(result, Some(Ok(_))), "{case}: {result:?}");
            }
            world.assert_nobody_is_locked_out(&case);
        }
        world.assert_finished(&format!("{users:?}, schedule {schedule:b}"));
    }
}
