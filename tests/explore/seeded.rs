//! Does the explorer find mistakes? Each of these is put into the steps, and has to be found, where without it nothing is.

use crate::{
    FAULTS, NONE,
    bounds::Bounds,
    line::Strategy::{self, Alternating, Keys, Single},
    mistakes::Mistake::{self, *},
    scenarios::setup,
    search::{Setup, first},
};

const COLD: Bounds = Bounds {
    faults: 2,
    cold: 1,
    windows: 1,
    ..NONE
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

/// Where each is looked for, and what shows it.
const SEEDED: [(Mistake, Strategy, &Bounds, &str); 28] = [
    (PutsWithoutStages, Single, &FAULTS, ""),
    (Overwrites, Single, &FAULTS, ""),
    (StoresLast, Single, &FAULTS, ""),
    (CleansUp, Single, &FAULTS, ""),
    (ChangesNothing, Single, &FAULTS, ""),
    (MakesAnother, Single, &FAULTS, ""),
    (RejectedIsAccepted, Single, &FAULTS, ""),
    (MovesFromAnywhere, Single, &HELD_UP, ""),
    (LostIsAbsent, Alternating, &COLD, ""),
    (LostPromotionIsDone, Alternating, &FAULTS, ""),
    (PromotesInSet, Alternating, &FAULTS, ""),
    (BoundsBeforePromotion, Alternating, &ONCE, ""),
    (ForgetsCommit, Alternating, &FAULTS, ""),
    (ChangesTheCurrent, Alternating, &FAULTS, ""),
    (KeepsTheOldEnd, Alternating, &FAULTS, ""),
    (BoundsTheNew, Alternating, &FAULTS, ""),
    (BoundsAtOnce, Alternating, &FAULTS, ""),
    (BoundsNobody, Alternating, &FAULTS, ""),
    (FailedBoundIsDone, Alternating, &FAULTS, ""),
    (RevokesTheCurrent, Alternating, &REVOKE, ""),
    (RevokesInFlight, Alternating, &REVOKE, ""),
    (RevokesNothing, Alternating, &REVOKE, ""),
    (AbsentIsAnError, Keys, &FAULTS, ""),
    (ConflictIsStored, Keys, &TWICE, ""),
    (EndsTheStored, Keys, &FAULTS, ""),
    (LeavesOrphans, Keys, &FAULTS, ""),
    (ForgetsTheOverlap, Keys, &FAULTS, ""),
    (EndsTheCurrent, Keys, &FAULTS, ""),
];

#[test]
fn every_mistake_that_is_put_into_the_steps_is_found() {
    let mut wrong = String::new();
    for (mistake, strategy, bounds, shows) in SEEDED {
        // what is done late has its cure in the fence: without it, it would hide what is looked for
        let right = setup(strategy, bounds, bounds.stalls > 0);
        assert!(
            first(&right).violations.is_empty(),
            "{bounds} of {strategy:?} hide a mistake"
        );
        let setup = Setup {
            mistake: Some(mistake),
            ..right
        };
        let found = first(&setup);
        let violation = found.violations.keys().next().map(ToString::to_string);
        println!("{mistake:?}: {} states; {violation:?}", found.states);
        if violation.as_deref() != Some(shows) {
            wrong += &format!("{mistake:?} in {strategy:?}: {violation:?} in place of {shows:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
