//! What is searched, and what has to come of it.

use std::{fmt::Write, sync::Mutex};

use crate::{
    bounds::Bounds,
    invariants::Violation,
    known::{KNOWN, Known},
    line::Strategy,
    report::{essence, tell},
    search::{Found, Setup, search},
};

pub(crate) const STRATEGIES: [Strategy; 3] =
    [Strategy::Single, Strategy::Alternating, Strategy::Keys];

/// What is found in these bounds is what is listed for this scenario, each by the same shortest schedule.
pub(crate) fn holds_but_for_what_is_known(scenario: &str, bounds: &Bounds) {
    explore(scenario, bounds, false);
}

/// The same in wider bounds, where what is listed for another scenario is found too.
pub(crate) fn finds_nothing_new(scenario: &str, bounds: &Bounds) {
    explore(scenario, bounds, true);
}

fn explore(scenario: &str, bounds: &Bounds, anywhere: bool) {
    let mut wrong = String::new();
    for strategy in STRATEGIES {
        let setup = setup(strategy, bounds, false);
        let mut found = search(&setup);
        print(scenario, &setup, &mut found);
        wrong += &differs(scenario, anywhere, &setup, &mut found);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What is lost is told, and nobody is blamed.
pub(crate) fn tells_what_is_lost(scenario: &str, bounds: &Bounds) {
    for strategy in STRATEGIES {
        let setup = setup(strategy, bounds, false);
        print(scenario, &setup, &mut search(&setup));
    }
}

/// With the fence none of these is left, and nothing comes that is not known.
pub(crate) fn fence_cures(scenario: &str, bounds: &Bounds, cured: &[(Strategy, &str)]) {
    let mut wrong = String::new();
    for strategy in [Strategy::Single, Strategy::Alternating] {
        let setup = setup(strategy, bounds, true);
        let mut found = search(&setup);
        print(&format!("{scenario}, with the fence"), &setup, &mut found);
        for (violation, schedule) in &found.violations {
            let text = violation.to_string();
            let known = KNOWN.iter().any(|known| known.is(strategy, &text));
            if !known || cured.contains(&(strategy, &text)) {
                let told = told(&setup, &mut found.steps, schedule);
                let _ = writeln!(
                    wrong,
                    "{strategy:?}: {text}, in spite of the fence:\n{told}"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

pub(crate) fn setup(strategy: Strategy, bounds: &Bounds, fence: bool) -> Setup {
    Setup {
        strategy,
        bounds: bounds.clone(),
        fence,
        mistake: None,
    }
}

fn differs(scenario: &str, anywhere: bool, setup: &Setup, found: &mut Found) -> String {
    let mut wrong = String::new();
    let strategy = setup.strategy;
    let listed = |known: &&Known| known.scenario == scenario && known.strategy == strategy;
    let listed: Vec<&Known> = KNOWN.iter().filter(listed).collect();
    let kinds: Vec<String> = found.violations.keys().map(Violation::to_string).collect();
    for known in &listed {
        if !kinds.iter().any(|kind| kind == known.violation) {
            let _ = writeln!(
                wrong,
                "{strategy:?}, {scenario}: \"{}\" is not found any more: strike it out of tests/explore/known.rs",
                known.violation
            );
        }
    }
    for (kind, schedule) in kinds.iter().zip(found.violations.values()) {
        let essence = essence(setup, &mut found.steps, schedule);
        let known = listed.iter().find(|known| known.violation == kind);
        let elsewhere = anywhere && KNOWN.iter().any(|known| known.is(strategy, kind));
        let as_listed = known.map_or(elsewhere, |known| known.schedule == essence);
        if !as_listed {
            let why = match known {
                None => "is not in tests/explore/known.rs",
                Some(_) => "has another shortest schedule than in tests/explore/known.rs",
            };
            let told = told(setup, &mut found.steps, schedule);
            let _ = writeln!(
                wrong,
                "{strategy:?}, {scenario}: \"{kind}\" {why}:\n{told}\n  as it stands in the list:\n{essence:#?}"
            );
        }
    }
    wrong
}

pub(crate) fn told(
    setup: &Setup,
    steps: &mut crate::steps::Steps,
    schedule: &[crate::acts::Act],
) -> String {
    let mut text = String::new();
    for line in tell(setup, steps, schedule) {
        let mark = if line.matters { "*" } else { " " };
        let _ = writeln!(text, "    {mark} {}", line.text);
    }
    text
}

/// One piece, so that what two threads say does not mix.
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
            "  {violation}; the shortest of its schedules, {} acts:",
            schedule.len()
        );
        text += &told(setup, &mut found.steps, schedule);
    }
    let _turn = TURN.lock();
    print!("{text}");
}
