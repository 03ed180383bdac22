//! The explorer finds mistakes: each of these is put into the steps and must be found. Without it, nothing is found.

use crate::{
    FAULTS, NONE,
    bounds::Bounds,
    line::Strategy::{self, Alternating, Keys, Single},
    mistakes::Mistake::{self, *},
    scenarios::setup,
    search::{Setup, first},
};

/// The service gives up after the first attempt.
const ONCE: Bounds = Bounds {
    attempts: 1,
    faults: 1,
    windows: 1,
    ..NONE
};
const TWICE: Bounds = Bounds { stalls: 1, ..NONE };
const HELD_UP: Bounds = Bounds {
    rotations: 2,
    stalls: 1,
    ..NONE
};
/// An operator who waits until no step is at work.
const REVOKE: Bounds = Bounds {
    rotations: 2,
    revokes: 1,
    preemptions: Some(0),
    ..NONE
};

const REVOKED_BESIDE: Bounds = Bounds {
    preemptions: None,
    ..REVOKE
};

/// The state space in which each is searched.
const SEEDED: [(Strategy, &Bounds, &[Mistake]); 9] = [
    (
        Single,
        &FAULTS,
        &[
            PutsWithoutStages,
            Overwrites,
            StoresLast,
            CleansUp,
            ChangesNothing,
            MakesAnother,
            RejectedIsAccepted,
        ],
    ),
    (Single, &HELD_UP, &[MovesFromAnywhere, AsksBeforeTheLock]),
    (
        Alternating,
        &HELD_UP,
        &[AsksBeforeTheLock, PromotesBeforeTheLock],
    ),
    (Alternating, &REVOKED_BESIDE, &[RevokesUnasked]),
    (
        Alternating,
        &FAULTS,
        &[
            LostPromotionIsDone,
            PromotesInSet,
            ForgetsCommit,
            ChangesTheCurrent,
            KeepsTheOldEnd,
            BoundsTheNew,
            BoundsAtOnce,
            BoundsNobody,
            FailedBoundIsDone,
        ],
    ),
    (Alternating, &ONCE, &[BoundsBeforePromotion]),
    (
        Alternating,
        &REVOKE,
        &[RevokesTheCurrent, RevokesInFlight, RevokesNothing],
    ),
    (
        Keys,
        &FAULTS,
        &[
            AbsentIsAnError,
            EndsTheStored,
            LeavesOrphans,
            ForgetsTheOverlap,
            EndsTheCurrent,
        ],
    ),
    (Keys, &TWICE, &[ConflictIsStored]),
];

#[test]
fn every_mistake_that_is_seeded_in_the_steps_is_found() {
    let mut missed = Vec::new();
    for (strategy, bounds, mistakes) in SEEDED {
        let right = setup(strategy, bounds);
        let without = first(&right).violations;
        assert!(
            without.is_empty(),
            "{strategy:?}, {bounds}: without a mistake there is {without:?}"
        );
        for mistake in mistakes {
            let setup = Setup {
                mistake: Some(*mistake),
                ..right.clone()
            };
            let found = first(&setup);
            match found.violations.keys().next() {
                Some(violation) => println!(
                    "{mistake:?}, {strategy:?}: found after {} states: {violation}",
                    found.states
                ),
                None => missed.push((mistake, strategy)),
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
