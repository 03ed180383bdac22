//! Random walks, with higher bounds than a search can cover.

use crate::{
    NONE,
    bounds::Bounds,
    scenarios::{STRATEGIES, described, is_known, setup},
    walk::walk,
};

const WIDE: Bounds = Bounds {
    rotations: 5,
    drops: 5,
    attempts: 5,
    faults: 4,
    stalls: 3,
    cold: 4,
    revokes: 2,
    hands: 2,
    windows: 4,
    stale: 2,
    lag: 3,
    logins: 2,
    renewals: 1,
    ..NONE
};

/// Walks with these seeds, or with the seed in `EXPLORE_SEED`.
fn walks(seeds: std::ops::Range<u64>) {
    let one = std::env::var("EXPLORE_SEED").ok();
    let one: Option<u64> = one.map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(seeds, |seed| seed..seed + 1);
    let mut wrong = String::new();
    for strategy in STRATEGIES {
        let setup = setup(strategy, &WIDE);
        let mut steps = setup.steps();
        let (mut acts, mut known) = (0, 0);
        for seed in seeds.clone() {
            let walk = walk(&setup, &mut steps, seed);
            acts += walk.acts.len();
            let violation = walk.broken.map(|violation| violation.to_string());
            let violation = violation.unwrap_or_default();
            let is_known = is_known(strategy, &violation);
            known += u32::from(is_known);
            if one.is_some() || (walk.broken.is_some() && !is_known) {
                let text = described(&setup, &mut steps, &walk.acts);
                println!("EXPLORE_SEED={seed}, {strategy:?}: {violation}\n{text}");
            }
            if walk.broken.is_some() && !is_known {
                wrong += &format!("EXPLORE_SEED={seed}, {strategy:?}: {violation}\n");
            }
        }
        println!(
            "at random, {strategy:?}: seeds {seeds:?}, {acts} acts; {known} walks ended in what is known; bounds: {WIDE}"
        );
    }
    assert!(wrong.is_empty(), "not in tests/explore/known.txt:\n{wrong}");
}

#[test]
fn three_hundred_random_walks_find_no_new_problem() {
    walks(0..300);
}

#[test]
#[ignore = "make explore"]
fn many_random_walks_find_no_new_problem() {
    walks(300..5_000);
}
