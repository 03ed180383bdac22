//! The searches, and their expected results.

use std::{fmt::Write, sync::Mutex};

use crate::{
    acts::Act,
    bounds::Bounds,
    known::{entry, known},
    line::Strategy,
    report::{essence, lines_of},
    search::{Found, Setup, search},
    steps::Steps,
};

pub(crate) const STRATEGIES: [Strategy; 3] =
    [Strategy::Single, Strategy::Alternating, Strategy::Keys];

/// The search finds the violations that are listed for this scenario, each with the same shortest schedule.
pub(crate) fn holds_but_for_what_is_known(scenario: &str, bounds: &Bounds) {
    explore(scenario, bounds, false);
}

/// The same in wider bounds, which also find violations that are listed for other scenarios.
pub(crate) fn finds_nothing_new(scenario: &str, bounds: &Bounds) {
    explore(scenario, bounds, true);
}

fn explore(scenario: &str, bounds: &Bounds, wider: bool) {
    let mut wrong = String::new();
    for strategy in STRATEGIES {
        let setup = setup(strategy, bounds);
        let mut found = search(&setup);
        print(scenario, &setup, &mut found);
        wrong += &differs(scenario, wider, &setup, &mut found);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Prints the violations that these bounds find, without a failure.
pub(crate) fn lists_what_is_lost(scenario: &str, bounds: &Bounds) {
    for strategy in STRATEGIES {
        let setup = setup(strategy, bounds);
        print(scenario, &setup, &mut search(&setup));
    }
}

pub(crate) fn setup(strategy: Strategy, bounds: &Bounds) -> Setup {
    Setup {
        strategy,
        bounds: bounds.clone(),
        mistake: None,
    }
}

/// Whether the list has this kind, for any scenario.
pub(crate) fn is_known(strategy: Strategy, kind: &str) -> bool {
    known().iter().any(|known| known.is(strategy, kind))
}

fn differs(scenario: &str, wider: bool, setup: &Setup, found: &mut Found) -> String {
    let mut wrong = String::new();
    let strategy = setup.strategy;
    let mut listed = known();
    listed.retain(|known| known.of(strategy) && known.scenario == scenario);
    for (violation, schedule) in &found.violations {
        let kind = violation.to_string();
        let essence = essence(setup, &mut found.steps, schedule);
        let at = listed.iter().position(|known| known.violation == kind);
        let why = match at.map(|at| listed.remove(at)) {
            Some(known) if known.schedule == essence => continue,
            Some(_) => "has another shortest schedule than in tests/explore/known.txt",
            None if wider && is_known(strategy, &kind) => continue,
            None => "is not in tests/explore/known.txt",
        };
        let described = described(setup, &mut found.steps, schedule);
        let entry = entry(strategy, scenario, &kind, &essence);
        let _ = writeln!(
            wrong,
            "{strategy:?}, {scenario}: \"{kind}\" {why}:\n{described}\n  as an entry:\n\n{entry}"
        );
    }
    for known in listed {
        let kind = known.violation;
        let _ = writeln!(
            wrong,
            "{strategy:?}, {scenario}: \"{kind}\" is not found any more: strike it out of tests/explore/known.txt, and \
             out of docs/verification.md if it was the last of its kind"
        );
    }
    wrong
}

pub(crate) fn described(setup: &Setup, steps: &mut Steps, schedule: &[Act]) -> String {
    let mut text = String::new();
    for line in lines_of(setup, steps, schedule) {
        let mark = if line.matters { "*" } else { " " };
        let _ = writeln!(text, "    {mark} {}", line.text);
    }
    text
}

/// In one piece, so that what two threads say does not mix.
fn print(scenario: &str, setup: &Setup, found: &mut Found) {
    static TURN: Mutex<()> = Mutex::new(());
    let mut text = format!(
        "{scenario}, {:?}: {} states, {} executions, {} places of the steps; bounds: {}\n",
        setup.strategy,
        found.states,
        found.executions,
        found.steps.nodes.len(),
        setup.bounds,
    );
    for (violation, schedule) in &found.violations {
        let _ = writeln!(
            text,
            "  {violation}; the shortest schedule, {} acts:",
            schedule.len()
        );
        text += &described(setup, &mut found.steps, schedule);
    }
    let _turn = TURN.lock();
    print!("{text}");
}
