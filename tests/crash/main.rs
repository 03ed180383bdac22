//! A rotation may be cut off anywhere, and no client is locked out.
//!
//! The real steps run over a store and a database in memory. Each call to either is cut once, before and after
//! its effect, by a crash (the call never returns) and by an error (it returns without an answer). Then the
//! service begins again with createSecret and the same token. tests/killed does the same with real processes and
//! a real PostgreSQL.
//!
//! The kit makes these checks, and anyone can check an engine with it. So these tests also show that the kit finds faults.

#![cfg(test)]

mod database;

use database::{Database, Fault, Users, case};
use secret_rotation::kit::{Cut, Rehearsal, STEPS, check};

const BOTH: [Users; 2] = [Users::Single, Users::Alternating];

fn rehearsal(users: Users) -> Rehearsal<Database> {
    Rehearsal::new(case(users, Fault::None)).unwrap()
}

/// The number of calls of a rotation without faults.
async fn calls_of_a_rotation(users: Users) -> usize {
    let rehearsal = rehearsal(users);
    rehearsal.attempt().await.unwrap();
    assert_finished(&rehearsal, users, "undisturbed").await;
    rehearsal.calls()
}

async fn assert_finished(rehearsal: &Rehearsal<Database>, users: Users, case: &str) {
    rehearsal
        .finished()
        .await
        .unwrap_or_else(|violation| panic!("{case}: {violation}"));
    if users == Users::Alternating {
        let roles = rehearsal.engine().roles.borrow();
        assert_eq!(
            roles["app"].password, "old password",
            "{case}: it ended before its bound"
        );
        assert!(roles["app"].bounded, "{case}: the old user is not bounded");
        assert!(
            !roles["app_clone"].bounded,
            "{case}: the new user is bounded"
        );
    }
}

#[tokio::test]
async fn a_successful_rotation_makes_as_few_calls_as_promised() {
    // calls to the store, a login, and the engine's method in each step; the calls inside it are counted on a real server
    assert_eq!(calls_of_a_rotation(Users::Single).await, 8 + 1 + 4);
    assert_eq!(calls_of_a_rotation(Users::Alternating).await, 10 + 1 + 4);
}

#[tokio::test]
async fn after_any_cut_some_version_logs_in_and_the_retry_completes() {
    for users in BOTH {
        for cut in Cut::all(calls_of_a_rotation(users).await) {
            let case = format!("{users:?}, {cut}");
            let rehearsal = rehearsal(users);
            rehearsal.cut(Some(cut));
            rehearsal.attempt().await.unwrap_err();
            assert!(rehearsal.was_cut(), "{case}");
            rehearsal.nobody_is_locked_out().await.unwrap();
            rehearsal.cut(None);
            rehearsal.attempt().await.unwrap();
            assert_finished(&rehearsal, users, &case).await;
        }
    }
}

#[tokio::test]
async fn after_a_second_cut_in_the_retry_it_still_completes() {
    for users in BOTH {
        let cuts = Cut::all(calls_of_a_rotation(users).await);
        let mut attempts_cut = 0;
        for (first, second) in cuts
            .iter()
            .flat_map(|first| cuts.iter().map(move |second| (first, second)))
        {
            let case = format!("{users:?}, {first}, then {second}");
            let rehearsal = rehearsal(users);
            for cut in [first, second] {
                rehearsal.cut(Some(*cut));
                attempts_cut += usize::from(rehearsal.attempt().await.is_err());
                rehearsal.nobody_is_locked_out().await.unwrap();
            }
            rehearsal.cut(None);
            rehearsal.attempt().await.unwrap();
            assert_finished(&rehearsal, users, &case).await;
        }
        assert!(attempts_cut > cuts.len() * cuts.len(), "{attempts_cut}");
    }
}

#[tokio::test]
async fn each_step_delivered_twice_changes_nothing_more() {
    for users in BOTH {
        let rehearsal = rehearsal(users);
        for step in STEPS {
            rehearsal.delivered(step).await.unwrap();
            let before = rehearsal.engine().roles.borrow().clone();
            rehearsal.delivered(step).await.unwrap();
            assert_eq!(
                *rehearsal.engine().roles.borrow(),
                before,
                "{users:?}, {step}"
            );
        }
        assert_finished(&rehearsal, users, "twice").await;
        let before = rehearsal.engine().roles.borrow().clone();
        rehearsal.attempt().await.unwrap();
        assert_eq!(
            *rehearsal.engine().roles.borrow(),
            before,
            "{users:?}, all again"
        );
        assert_finished(&rehearsal, users, "all again").await;
    }
}

#[tokio::test]
async fn a_step_delivered_twice_at_once_ends_as_if_delivered_once_in_every_interleaving() {
    for (users, schedule) in BOTH
        .into_iter()
        .flat_map(|users| (0..4096).map(move |bits| (users, bits)))
    {
        let rehearsal = rehearsal(users);
        rehearsal.twice_at_once(schedule).await.unwrap();
        assert_finished(
            &rehearsal,
            users,
            &format!("{users:?}, schedule {schedule:b}"),
        )
        .await;
    }
}

#[tokio::test]
async fn the_kit_accepts_an_engine_that_keeps_the_contract_and_rejects_one_that_does_not() {
    for users in BOTH {
        check(async || case(users, Fault::None)).await.unwrap();
    }
    for (users, fault, found) in [
        (
            Users::Single,
            Fault::AcceptsAnything,
            "a wrong password is accepted",
        ),
        (
            Users::Single,
            Fault::TakesAnErrorForARejection,
            "only the server's own word is a rejection",
        ),
        (
            Users::Single,
            Fault::TakesARejectionForAnError,
            "is an error and not rejected",
        ),
        (Users::Alternating, Fault::ChangesOnce, "setSecret fails"),
        (
            Users::Single,
            Fault::MakesAPasswordOfItsOwn,
            "testSecret fails",
        ),
        (
            Users::Alternating,
            Fault::ChangesTheCurrentUser,
            "AWSCURRENT does not log in",
        ),
    ] {
        let violation = check(async || case(users, fault)).await.unwrap_err();
        assert!(
            violation.to_string().contains(found),
            "{fault:?}: {violation}"
        );
    }
}
