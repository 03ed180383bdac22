//! A random walk, beyond the bounds of a search. Its seed replays it.

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{acts::Act, application, invariants::Violation, search::Setup, steps::Steps};

/// A walk's acts, and the violations after the last one.
pub(crate) struct Walk {
    pub(crate) acts: Vec<Act>,
    pub(crate) broken: Option<Violation>,
}

/// Goes on until no event is possible, or something is broken.
pub(crate) fn walk(setup: &Setup, steps: &mut Steps, seed: u64) -> Walk {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut world = setup.world();
    let mut taken = Vec::new();
    loop {
        let mut acts = world.acts(steps);
        // a memory's number depends on earlier runs: a walk must not depend on it
        acts.sort_by_cached_key(|act| match act {
            Act::Proceed(memory) => format!("Proceed {}", steps.text(*memory)),
            Act::Again(memory) => format!("Again {}", steps.text(*memory)),
            Act::Revoke(memory) => format!("Revoke {}", steps.text(*memory)),
            act => format!("{act:?}"),
        });
        // mostly normal events, or the walk ends before anything succeeds
        let usual: Vec<Act> = acts.iter().copied().filter(|act| is_usual(*act)).collect();
        if !usual.is_empty() && chance.next_u32() % 8 != 0 {
            acts = usual;
        }
        if acts.is_empty() {
            return Walk {
                acts: taken,
                broken: None,
            };
        }
        let act = acts[chance.next_u32() as usize % acts.len()];
        taken.push(act);
        if let Err(violation) = world.act(steps, act) {
            return Walk {
                acts: taken,
                broken: Some(violation),
            };
        }
    }
}

fn is_usual(act: Act) -> bool {
    matches!(
        act,
        Act::Answer(_, _, 0)
            | Act::Begin(_)
            | Act::Rotate
            | Act::Proceed(_)
            | Act::Conclude
            | Act::Application(application::Act::Hear(0))
    )
}
