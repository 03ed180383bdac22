//! What takes minutes: `make explore`.

use crate::{
    BY_HAND, COLD, FAULTS, HELD_UP, LAG, LOGIN, REVOKE,
    bounds::Bounds,
    scenarios::{finds_nothing_new, lists_what_is_lost},
};

#[test]
#[ignore = "make explore"]
fn three_faults() {
    let bounds = Bounds {
        faults: 3,
        windows: 2,
        ..FAULTS
    };
    finds_nothing_new("three faults", &bounds);
}

#[test]
#[ignore = "make explore"]
fn cold_starts_and_two_faults() {
    let bounds = Bounds {
        faults: 2,
        cold: 2,
        ..COLD
    };
    finds_nothing_new("cold starts and two faults", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_delayed_delivery_and_a_fault() {
    let bounds = Bounds {
        faults: 1,
        windows: 0,
        ..HELD_UP
    };
    finds_nothing_new("held up, and a fault", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_delayed_delivery_across_three_rotations() {
    let bounds = Bounds {
        rotations: 3,
        windows: 0,
        ..HELD_UP
    };
    finds_nothing_new("held up across three rotations", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_delayed_delivery_while_awspending_leaves() {
    let bounds = Bounds {
        drops: 2,
        windows: 0,
        ..HELD_UP
    };
    finds_nothing_new("held up, and AWSPENDING leaves", &bounds);
}

#[test]
#[ignore = "make explore"]
fn two_delayed_deliveries() {
    let bounds = Bounds {
        rotations: 1,
        stalls: 2,
        windows: 0,
        ..HELD_UP
    };
    finds_nothing_new("two held up", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_delayed_delivery_and_a_revocation() {
    let bounds = Bounds {
        revokes: 1,
        windows: 0,
        preemptions: Some(1),
        ..HELD_UP
    };
    finds_nothing_new("held up, and a revocation", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_delayed_delivery_and_a_change_by_hand() {
    let bounds = Bounds {
        hands: 1,
        windows: 0,
        preemptions: Some(1),
        ..HELD_UP
    };
    finds_nothing_new("held up, and a person's hand", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_revocation_and_a_change_by_hand() {
    let bounds = Bounds {
        hands: 1,
        windows: 0,
        rotations: 1,
        ..REVOKE
    };
    finds_nothing_new("a revocation, and a person's hand", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_revocation_and_a_fault() {
    let bounds = Bounds {
        faults: 1,
        windows: 0,
        ..REVOKE
    };
    finds_nothing_new("a revocation, and a fault", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_change_by_hand_and_a_fault() {
    let bounds = Bounds {
        faults: 1,
        ..BY_HAND
    };
    finds_nothing_new("a person's hand, and a fault", &bounds);
}

#[test]
#[ignore = "make explore"]
fn two_changes_by_hand() {
    let bounds = Bounds {
        hands: 2,
        ..BY_HAND
    };
    finds_nothing_new("a person's two hands", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_change_by_hand_and_a_read_that_lags() {
    let bounds = Bounds {
        hands: 1,
        windows: 0,
        rotations: 1,
        ..LAG
    };
    finds_nothing_new("a person's hand, and a read that lags", &bounds);
}

#[test]
#[ignore = "make explore"]
fn reads_that_lag_in_two_rotations() {
    let bounds = Bounds { stale: 2, ..LAG };
    finds_nothing_new("reads that lag in two rotations", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_login_during_three_rotations() {
    let bounds = Bounds {
        rotations: 3,
        logins: 2,
        faults: 1,
        ..LOGIN
    };
    finds_nothing_new("a login beside three rotations", &bounds);
}

#[test]
#[ignore = "make explore"]
fn a_delayed_login() {
    let bounds = Bounds {
        stalls: 1,
        renewals: 0,
        ..LOGIN
    };
    finds_nothing_new("a login, held up", &bounds);
}

/// Longer than any assumption allows: the test lists what is lost then.
#[test]
#[ignore = "make explore"]
fn reads_that_lag_longer_than_assumed() {
    let bounds = Bounds {
        stale: 2,
        lag: 8,
        ..LAG
    };
    lists_what_is_lost("reads that lag for longer than is assumed", &bounds);
}
