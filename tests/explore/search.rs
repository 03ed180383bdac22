//! The search through everything that may happen; it visits no state twice.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    hash::{Hash, Hasher},
};

use sha2::{Digest, Sha256};

use crate::{
    acts::Act, bounds::Bounds, invariants::Violation, line::Strategy, mistakes::Mistake,
    steps::Steps, world::World,
};

/// The state space to search.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) strategy: Strategy,
    pub(crate) bounds: Bounds,
    pub(crate) mistake: Option<Mistake>,
}

impl Setup {
    pub(crate) fn steps(&self) -> Steps {
        Steps::new(self.strategy, self.mistake)
    }

    pub(crate) fn world(&self) -> World {
        World::new(&self.bounds)
    }
}

/// The result of a search.
pub(crate) struct Found {
    /// The places that the shipped steps were run to; a report of a schedule needs them.
    pub(crate) steps: Steps,
    pub(crate) states: u64,
    /// Schedules that were followed to their end, or to a state seen before.
    pub(crate) executions: u64,
    /// A schedule for each kind of violation.
    pub(crate) violations: BTreeMap<Violation, Vec<Act>>,
}

/// The order of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Depth,
    Breadth,
}

/// Every schedule within the bounds, depth first; and for each kind of violation the shortest one, breadth first.
pub(crate) fn search(setup: &Setup) -> Found {
    let mut found = go(setup, setup.steps(), Order::Depth, |_| false);
    let kinds: BTreeSet<Violation> = found.violations.keys().copied().collect();
    if !kinds.is_empty() {
        let shortest = go(setup, found.steps, Order::Breadth, |found| {
            found.len() == kinds.len()
        });
        found = Found {
            states: found.states,
            executions: found.executions,
            ..shortest
        };
    }
    found
}

/// Searches until something is broken, or every state was seen.
pub(crate) fn first(setup: &Setup) -> Found {
    go(setup, setup.steps(), Order::Depth, |found| {
        !found.is_empty()
    })
}

/// A state to go on from, and the act that led there.
struct Open {
    world: World,
    reached: usize,
}

fn go(
    setup: &Setup,
    mut steps: Steps,
    order: Order,
    enough: impl Fn(&BTreeMap<Violation, Vec<Act>>) -> bool,
) -> Found {
    let (mut executions, mut violations) = (0, BTreeMap::new());
    let first = setup.world();
    let mut seen: HashSet<u128> = [fingerprint(&first)].into();
    // each act with the one before it, so that a schedule can be read backwards
    let mut acts: Vec<(usize, Act)> = vec![(0, Act::Begin(false))];
    let mut open: VecDeque<Open> = [Open {
        world: first,
        reached: 0,
    }]
    .into();
    while let Some(Open { world, reached }) = match order {
        Order::Depth => open.pop_back(),
        Order::Breadth => open.pop_front(),
    } {
        let next = world.acts(&steps);
        executions += u64::from(next.is_empty());
        for act in next {
            let mut world = world.clone();
            let result = world.act(&mut steps, act);
            if let Err(violation) = result {
                executions += 1;
                violations
                    .entry(violation)
                    .or_insert_with(|| schedule(&acts, reached, act));
            } else if seen.insert(fingerprint(&world)) {
                acts.push((reached, act));
                open.push_back(Open {
                    world,
                    reached: acts.len() - 1,
                });
            } else {
                executions += 1;
            }
        }
        if enough(&violations) {
            break;
        }
    }
    Found {
        states: seen.len() as u64,
        executions,
        violations,
        steps,
    }
}

fn schedule(acts: &[(usize, Act)], reached: usize, last: Act) -> Vec<Act> {
    let mut schedule = vec![last];
    let mut at = reached;
    while at != 0 {
        let (before, act) = acts[at];
        schedule.push(act);
        at = before;
    }
    schedule.reverse();
    schedule
}

/// Half of a SHA-256 of the state: no two states have the same.
fn fingerprint(world: &World) -> u128 {
    let mut bytes = Bytes(Vec::with_capacity(512));
    world.hash(&mut bytes);
    let digest = Sha256::digest(&bytes.0);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(half)
}

/// Writes down what is hashed. Numbers, lengths and which variant it is are all below 256 here, but for the places.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn write_u8(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn write_usize(&mut self, length: usize) {
        self.0.push(length as u8);
    }

    fn write_isize(&mut self, variant: isize) {
        self.0.push(variant as u8);
    }

    fn finish(&self) -> u64 {
        0
    }
}
