//! `make bench`: our figures beside those of peers, all measured in this run, in a table and in docs/benchmarks.md.
//!
//! | file | what |
//! |---|---|
//! | `row` | a figure, its peer's, and what to reach |
//! | `rotation` | a rotation, a start, memory, beside Python |
//! | `rotate` | one rotation |
//! | `gap` | the time without a login |
//! | `floor` | a rotation's calls and logins alone |
//! | `python` | the function in Python |
//! | `agents` | the agent beside AWS's |
//! | `page` | docs/benchmarks.md |

pub mod agents;
mod floor;
mod gap;
pub mod page;
pub mod python;
mod rotate;
pub mod rotation;
pub mod row;

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

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
}

impl Effort {
    /// For figures.
    pub const FULL: Self = Self {
        rotations: 15,
        cold_rotations: 5,
        starts: 20,
        turns: 3,
        seconds: 3,
    };

    /// To see that everything still runs.
    pub const SHORT: Self = Self {
        rotations: 1,
        cold_rotations: 1,
        starts: 1,
        turns: 1,
        seconds: 1,
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
