//! Everything that may happen to one secret, within bounds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing unwrap in a test is a failing test; what was explored is printed"
)]

mod acts;
mod api_key;
mod application;
mod bounds;
mod calls;
mod client;
mod database;
mod effects;
mod engine;
mod invariants;
mod known;
mod larger;
mod line;
mod mistakes;
mod postgres;
mod random;
mod report;
mod scenarios;
mod search;
mod seeded;
mod service;
mod steps;
mod store;
mod walk;
mod words;
mod world;

use bounds::Bounds;
use scenarios::holds_but_for_what_is_known;

const NONE: Bounds = Bounds::NONE;

const FAULTS: Bounds = Bounds {
    rotations: 2,
    faults: 2,
    windows: 1,
    ..NONE
};
const COLD: Bounds = Bounds {
    rotations: 2,
    faults: 1,
    cold: 1,
    windows: 1,
    ..NONE
};
const HELD_UP: Bounds = Bounds {
    rotations: 2,
    stalls: 1,
    windows: 1,
    ..NONE
};
const REVOKE: Bounds = Bounds {
    rotations: 2,
    revokes: 1,
    windows: 1,
    ..NONE
};
const BY_HAND: Bounds = Bounds {
    rotations: 2,
    hands: 1,
    windows: 1,
    ..NONE
};
/// A read may not have seen the last three changes: it reaches back into the rotation before.
const LAG: Bounds = Bounds {
    rotations: 2,
    cold: 1,
    stale: 1,
    lag: 3,
    windows: 1,
    ..NONE
};
const LOGIN: Bounds = Bounds {
    rotations: 2,
    logins: 1,
    renewals: 1,
    ..NONE
};

#[test]
fn two_rotations_with_two_faults_do_not_lock_the_application_out() {
    holds_but_for_what_is_known("two faults", &FAULTS);
}

#[test]
fn steps_in_separate_environments_do_not_lock_the_application_out() {
    holds_but_for_what_is_known("separate environments", &COLD);
}

#[test]
fn awspending_may_leave_awscurrent_at_any_time() {
    let bounds = Bounds {
        drops: 2,
        faults: 1,
        ..FAULTS
    };
    holds_but_for_what_is_known("AWSPENDING leaves", &bounds);
}

#[test]
fn a_full_account_loses_no_key_that_is_needed() {
    let bounds = Bounds {
        faults: 1,
        windows: 2,
        room: 2,
        ..FAULTS
    };
    holds_but_for_what_is_known("a full account", &bounds);
}

#[test]
fn a_delayed_delivery_causes_only_the_known_problems() {
    holds_but_for_what_is_known("held up", &HELD_UP);
}

#[test]
fn a_revocation_during_rotations_causes_only_the_known_problems() {
    holds_but_for_what_is_known("a revocation", &REVOKE);
}

#[test]
fn a_change_by_hand_causes_only_the_known_problems() {
    holds_but_for_what_is_known("a person's hand", &BY_HAND);
}

#[test]
fn a_read_that_lags_causes_only_the_known_problems() {
    holds_but_for_what_is_known("a read that lags", &LAG);
}

#[test]
fn two_lagging_reads_of_one_rotation_cause_only_the_known_problems() {
    let bounds = Bounds {
        rotations: 1,
        stale: 2,
        ..LAG
    };
    holds_but_for_what_is_known("two reads that lag", &bounds);
}

#[test]
fn the_client_crate_logs_in_except_for_the_known_problems() {
    holds_but_for_what_is_known("a login", &LOGIN);
}

#[test]
fn the_client_crate_logs_in_after_every_fault() {
    let bounds = Bounds {
        rotations: 1,
        faults: 2,
        ..LOGIN
    };
    holds_but_for_what_is_known("a login, two faults", &bounds);
}

#[test]
fn the_client_crate_logs_in_while_reads_lag_except_for_the_known_problems() {
    let bounds = Bounds {
        rotations: 1,
        stale: 1,
        lag: 3,
        ..LOGIN
    };
    holds_but_for_what_is_known("a login, a read that lags", &bounds);
}
