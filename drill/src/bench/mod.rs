//! `make bench`: our figures beside those of peers, all measured in this run, in a table and in docs/benchmarks.md.
//!
//! | file | what |
//! |---|---|
//! | `row` | a figure, its peer's, and what to reach |
//! | `rotation` | a rotation, a start, memory, beside Python |
//! | `rotate` | one rotation |
//! | `gap` | the time without a login |
//! | `floor` | a rotation's calls and logins alone |
//! | `profile` | where a rotation waits for PostgreSQL |
//! | `python` | the function in Python |
//! | `agents` | the agent beside AWS's |
//! | `client` | a read from the client's cache, beside other caches |
//! | `pools` | requests during a changeover, in each pool |
//! | `changeover` | the time until each of a thousand clients has changed |
//! | `fleet` | how even the calls of a fleet are |
//! | `operator`, `rotatectl` | rotatectl on many secrets |
//! | `builds` | the crates of each package, and a clean build |
//! | `page`, `plot` | docs/benchmarks.md |
//! | `error` | why something cannot be measured |

pub mod agents;
pub mod builds;
pub mod changeover;
pub mod client;
mod error;
pub mod fleet;
mod floor;
mod gap;
pub mod operator;
pub mod page;
mod plot;
pub mod pools;
mod profile;
pub mod python;
mod rotate;
mod rotatectl;
pub mod rotation;
pub mod row;

use std::{
    io::{self, Write},
    time::Duration,
};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

pub use self::error::Error;
pub(crate) use self::rotate::rotate;
use self::row::Row;

/// How often each thing is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    rotations: usize,
    cold_rotations: usize,
    starts: usize,
    /// How often the agents take turns at each number of readers.
    turns: usize,
    /// How long each turn takes.
    seconds: usize,
    /// How long each pool is watched, with rotations and without.
    pub pools: Duration,
    /// Time for the server to publish its count of sessions, and for a pool to open all connections.
    settled: Duration,
    /// How many clients a changeover has, how often it is measured, and the lifetime of those that do not listen.
    clients: usize,
    changeovers: usize,
    ttl: Duration,
    /// How many clients the simulated fleet has.
    fleet: usize,
    /// How many secrets rotatectl lists: a few, and ten times as many.
    secrets: [usize; 2],
    /// How many secrets rotatectl rotates.
    rotated: usize,
    /// Whether each package is built, which takes minutes, or its crates are counted only.
    builds: bool,
}

impl Effort {
    /// For figures.
    pub const FULL: Self = Self {
        rotations: 15,
        cold_rotations: 5,
        starts: 20,
        turns: 5,
        seconds: 3,
        pools: Duration::from_secs(120),
        settled: Duration::from_secs(3),
        clients: 1000,
        changeovers: 3,
        ttl: Duration::from_secs(30),
        fleet: 10_000,
        secrets: [1000, 10_000],
        rotated: 500,
        builds: true,
    };

    /// To see that everything still runs.
    pub const SHORT: Self = Self {
        rotations: 1,
        cold_rotations: 1,
        starts: 1,
        turns: 1,
        seconds: 1,
        pools: Duration::from_secs(1),
        settled: Duration::from_secs(1),
        clients: 20,
        changeovers: 1,
        ttl: Duration::from_secs(2),
        fleet: 500,
        secrets: [100, 1000],
        rotated: 10,
        builds: false,
    };
}

/// The heads of a row's cells.
pub(crate) const HEAD: [&str; 5] = ["", "here", "beside", "ratio", "to reach"];

/// Prints rows as a table.
///
/// # Errors
///
/// It cannot be written.
pub fn print(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(HEAD);
    table.add_rows(rows.iter().map(Row::cells));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")
}
