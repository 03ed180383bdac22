//! A rotation beside the same rotation in Python. They take turns.

mod measured;
mod side;

use local::world::World;

pub use self::side::Side;
use self::{
    measured::Measured,
    side::{peak, starts},
};
use super::{
    Effort,
    floor::Floor,
    gap,
    profile::profile,
    rotate::rotate,
    row::{Goal, Row, Sample},
};
use crate::demo::Error;

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    let Effort {
        rotations,
        cold_rotations,
        starts,
        ..
    } = effort;
    format!(
        "Ours and a function in Python rotate in turns, each in a world of its own on the same PostgreSQL with TLS: {rotations} rotations by \
         warm processes, {cold_rotations} with a new process for each step, {starts} starts. The \
         [Python](../drill/src/bench/rotation.py) is lean: it makes the calls that each step needs with boto3, and changes the password \
         with psycopg; ours also looks at what it changes. The time of a step is from the event to the answer. Billed is each step's time, \
         rounded up to a millisecond, by the peak memory. What PostgreSQL's log says of our statements is in the rows \"at the server\"."
    )
}

/// A strategy, and how many times faster than Python a warm rotation has to be.
struct Strategy {
    name: &'static str,
    secret: fn(&World) -> &'static str,
    times: f64,
}

const STRATEGIES: [Strategy; 2] = [
    Strategy {
        name: "single user",
        secret: World::single_user,
        times: 5.0,
    },
    Strategy {
        name: "alternating users",
        secret: World::alternating_users,
        times: 4.0,
    },
];

/// Measures both. `packages` are the sizes of what is deployed, in bytes: ours, and the Python's.
///
/// # Errors
///
/// A rotation fails.
pub async fn measure(
    ours: &Side,
    python: &Side,
    packages: [u64; 2],
    effort: Effort,
) -> Result<Vec<Row>, Error> {
    let floor = Floor::new(&ours.warm).await?;
    let beside = |what: &str, ours, peer, goal| python.beside(what, ours, peer, goal);
    let mut rows = vec![beside(
        "start: exec to the first poll",
        starts(ours, effort.starts).await,
        starts(python, effort.starts).await,
        Some(Goal::Times(200.0)),
    )];
    for strategy in &STRATEGIES {
        rows.extend(of_strategy(strategy, [ours, python], effort, Some(&floor)).await?);
        let secret = (strategy.secret)(&ours.warm);
        rows.extend(profile(strategy.name, &ours.warm, secret, effort.rotations).await?);
    }
    let single = STRATEGIES[0].secret;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..effort.rotations {
        here.push(gap::time(&ours.warm, single(&ours.warm)).await?);
        there.push(gap::time(&python.warm, single(&python.warm)).await?);
    }
    rows.push(beside(
        "single user: AWSCURRENT does not log in",
        Sample::times(here),
        Sample::times(there),
        Some(Goal::Times(4.0)),
    ));
    rows.push(beside(
        "peak memory",
        peak(ours),
        peak(python),
        Some(Goal::Times(4.0)),
    ));
    let [ours, theirs] = packages.map(|bytes| Sample::one(bytes as f64 / 1e6, "MB"));
    rows.push(beside(
        "what is deployed",
        ours,
        theirs,
        Some(Goal::Times(4.0)),
    ));
    Ok(rows)
}

/// How it is measured beside AWS's functions, for the page.
pub fn awss_method(effort: Effort) -> String {
    let Effort {
        rotations,
        cold_rotations,
        ..
    } = effort;
    format!(
        "AWS's own two functions, unchanged, with boto3 and PyGreSQL, on the same server in turns with ours: {rotations} rotations by warm \
         processes, {cold_rotations} with a new process for each step."
    )
}

/// Measures ours beside AWS's own functions, in the order of the strategies.
///
/// # Errors
///
/// A rotation fails.
pub async fn beside_awss(ours: &Side, awss: &[Side], effort: Effort) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for (strategy, awss) in STRATEGIES.iter().zip(awss) {
        rows.extend(of_strategy(strategy, [ours, awss], effort, None).await?);
    }
    Ok(rows)
}

/// The rows beside a peer, and one beside the floor, if it is measured too.
async fn of_strategy(
    strategy: &Strategy,
    [ours, peer]: [&Side; 2],
    effort: Effort,
    floor: Option<&Floor<'_>>,
) -> Result<Vec<Row>, Error> {
    let Strategy {
        name,
        secret,
        times,
    } = strategy;
    let (mut here, mut there, mut least) = (Measured::default(), Measured::default(), Vec::new());
    for side in [ours, peer] {
        // the first rotation has a cold process, and may make a user
        rotate(&side.warm, secret(&side.warm)).await?;
        rotate(&side.cold, secret(&side.cold)).await?;
    }
    for _ in 0..effort.rotations {
        here.rotate(&ours.warm, secret(&ours.warm)).await?;
        there.rotate(&peer.warm, secret(&peer.warm)).await?;
        if let Some(floor) = floor {
            least.push(floor.time(&here.calls, here.accepted).await?);
        }
    }
    for _ in 0..effort.cold_rotations {
        here.rotate_cold(&ours.cold, secret(&ours.cold)).await?;
        there.rotate_cold(&peer.cold, secret(&peer.cold)).await?;
    }
    let row = |what: &str, ours, theirs, goal| {
        peer.beside(&format!("{name}: {what}"), ours, theirs, goal)
    };
    let warm = |measured: &Measured| Sample::times(measured.rotations.iter().copied());
    let mut rows = vec![row(
        "a warm rotation",
        warm(&here),
        warm(&there),
        Some(Goal::Times(*times)),
    )];
    rows.extend(floor.map(|_| Row {
        what: format!("{name}: a warm rotation"),
        ours: warm(&here),
        peer: Some(("its calls and logins alone", Sample::times(least))),
        goal: Some(Goal::Within(1.3)),
    }));
    let processor = |measured: &Measured| Sample::mean(&measured.processor);
    rows.push(row(
        "processor time",
        processor(&here),
        processor(&there),
        None,
    ));
    let billed = |measured: &Measured, side: &Side| measured.billed(side);
    rows.push(row(
        "billed",
        billed(&here, ours),
        billed(&there, peer),
        Some(Goal::Times(20.0)),
    ));
    for (what, count) in [
        (
            "API calls",
            (|measured| measured.calls.len()) as fn(&Measured) -> usize,
        ),
        ("logins", |measured| measured.accepted),
        ("rejected logins", |measured| measured.rejected),
    ] {
        let count = |measured: &Measured| Sample::one(count(measured) as f64, "");
        rows.push(row(what, count(&here), count(&there), None));
    }
    for step in STEPS {
        let cold = |measured: &Measured| {
            Sample::times(measured.cold.get(step).into_iter().flatten().copied())
        };
        rows.push(row(
            &format!("{step} in a new process"),
            cold(&here),
            cold(&there),
            None,
        ));
    }
    Ok(rows)
}
