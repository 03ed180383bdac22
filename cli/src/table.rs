//! Tables that fit the terminal.
//!
//! Names are never broken. In a narrow terminal, columns disappear in a fixed order, and long cells end with an ellipsis.

use comfy_table::{Cell, Color, ColumnConstraint, Table, presets::NOTHING};
use console::{measure_text_width, truncate_str};

/// The width between two columns.
const GAP: usize = 2;
/// The smallest width of a cut cell.
const LEAST: usize = 16;

/// What happens to a column in a narrow terminal.
#[derive(Clone, Copy, Debug)]
pub enum Narrow {
    /// It does not change.
    Stays,
    /// It disappears; the lowest number goes first.
    Goes(u8),
    /// Its cells are cut.
    Cut,
}

/// The table as text for a terminal of this width. Without a terminal it is complete.
pub fn fitted(
    columns: &[(&str, Narrow)],
    mut rows: Vec<Vec<Cell>>,
    width: Option<usize>,
) -> String {
    let widest = |column: usize, name: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| measure_text_width(&cell.content()));
        cells.max().unwrap_or(0).max(measure_text_width(name))
    };
    let numbered = columns.iter().enumerate();
    let widths: Vec<(Narrow, usize)> = numbered
        .map(|(index, (name, narrow))| (*narrow, widest(index, name)))
        .collect();
    let fit = fit(&widths, width.unwrap_or(usize::MAX));
    for row in &mut rows {
        for (cell, fit) in row.iter_mut().zip(&fit) {
            let text = cell.content();
            if let Some(room) = fit.filter(|room| *room < measure_text_width(&text)) {
                *cell = Cell::new(truncate_str(&text, room, "…"));
            }
        }
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(columns.iter().map(|(name, _)| *name))
        .add_rows(rows)
        // console alone decides about colours
        .force_no_tty();
    if console::colors_enabled() {
        table.enforce_styling();
    }
    for (column, fit) in table.column_iter_mut().zip(fit) {
        column.set_padding((0, 2));
        if fit.is_none() {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
    table.trim_fmt()
}

/// The width of each column. None for a column that disappears.
fn fit(columns: &[(Narrow, usize)], width: usize) -> Vec<Option<usize>> {
    let least = |(narrow, widest): &(Narrow, usize)| match narrow {
        Narrow::Cut => LEAST.min(*widest),
        Narrow::Stays | Narrow::Goes(_) => *widest,
    };
    let mut fit: Vec<Option<usize>> = columns.iter().map(|column| Some(least(column))).collect();
    let needed = |fit: &[Option<usize>]| {
        let shown = fit.iter().flatten();
        shown
            .map(|room| room + GAP)
            .sum::<usize>()
            .saturating_sub(GAP)
    };
    while needed(&fit) > width {
        let shown = columns
            .iter()
            .enumerate()
            .filter(|(index, _)| fit[*index].is_some());
        let next = shown.filter_map(|(index, (narrow, _))| match narrow {
            Narrow::Goes(order) => Some((*order, index)),
            Narrow::Stays | Narrow::Cut => None,
        });
        let Some((_, next)) = next.min() else { break };
        fit[next] = None;
    }
    // the rest of the width goes to the cut cells, from the left
    let mut left = width.saturating_sub(needed(&fit));
    for (room, (_, widest)) in fit.iter_mut().zip(columns) {
        if let Some(room) = room {
            let more = left.min(widest.saturating_sub(*room));
            *room += more;
            left -= more;
        }
    }
    fit
}

/// Red: needs attention.
pub fn alarming(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Red)
}

/// Yellow: watch it.
pub fn noteworthy(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Yellow)
}

#[cfg(test)]
mod tests {
    use super::{Narrow::*, *};

    const COLUMNS: [(&str, Narrow); 4] = [
        ("SECRET", Stays),
        ("AGE", Goes(2)),
        ("EVERY", Goes(1)),
        ("WHY", Cut),
    ];

    fn at(width: usize) -> String {
        let row = ["orders/db", "40d", "30d", "the server rejects the password"];
        fitted(&COLUMNS, vec![row.map(Cell::new).to_vec()], Some(width))
    }

    #[test]
    fn a_table_that_fits_or_does_not_go_to_a_terminal_is_complete() {
        let whole =
            "SECRET     AGE  EVERY  WHY\norders/db  40d  30d    the server rejects the password";
        assert_eq!(at(54), whole);
        let row = ["orders/db", "40d", "30d", "the server rejects the password"];
        let rows = vec![row.map(Cell::new).to_vec()];
        assert_eq!(fitted(&COLUMNS, rows, None), whole);
    }

    #[test]
    fn long_cells_are_cut_first_then_columns_disappear_in_order_and_the_name_stays() {
        assert_eq!(
            at(45),
            "SECRET     AGE  EVERY  WHY\norders/db  40d  30d    the server rejects th…"
        );
        assert_eq!(
            at(32),
            "SECRET     AGE  WHY\norders/db  40d  the server reje…"
        );
        assert_eq!(at(30), "SECRET     WHY\norders/db  the server rejects…");
        assert_eq!(at(5), "SECRET     WHY\norders/db  the server reje…");
    }
}
