//! The table, the errors below it, and the summary at the end.

use std::{io, time::SystemTime};

use comfy_table::Cell;

use super::{
    judge::State,
    kept::{Kept, Report},
    secret::{Field, Secret},
};
use crate::{
    secrets::Strategy,
    table::{
        Narrow::{Cut, Goes, Stays},
        alarming, fitted, noteworthy,
    },
    terminal::{self, EMPTY_CELL, NOT_KNOWN, printable, span, width},
};

/// The number of names in the summary.
const NAMES: usize = 3;

pub(super) fn table(report: &Report) -> io::Result<()> {
    if report.secrets.is_empty() {
        terminal::tell(if report.of == 0 {
            "No secret is set up for rotation here: check --region, --profile and --tag, or turn one's rotation on with RotateSecret."
        } else {
            "No secret is in this state."
        });
    } else {
        let mut columns = vec![
            ("SECRET", Stays),
            ("STATE", Stays),
            ("AGE", Goes(3)),
            ("EVERY", Goes(2)),
            ("DUE", Goes(5)),
        ];
        if report.values {
            columns.extend([("STRATEGY", Goes(1)), ("OVERLAP", Goes(4))]);
        }
        columns.push(("LAST ERROR", Cut));
        let rows = report.secrets.iter();
        let rows = rows.map(|secret| row(&secret.secret(), report));
        terminal::print(&fitted(&columns, rows.collect(), width()))?;
        // sentences do not fit into a column, so they are below the table
        for secret in &report.secrets {
            if let Some(error) = secret.last_error() {
                terminal::print("")?;
                terminal::say(&format!("{}: {}", secret.name(), error.text()))?;
            }
        }
        terminal::print("")?;
        terminal::say(&summary(&report.secrets))?;
    }
    for note in &report.notes {
        terminal::tell(&format!("Note: {note}"));
    }
    Ok(())
}

/// `3 secrets: 1 stuck (orders/db), 2 ok`.
fn summary(secrets: &[Kept]) -> String {
    let parts = State::ALL.iter().filter_map(|state| {
        let names = secrets.iter().filter(|secret| secret.state() == *state);
        let names: Vec<&str> = names.map(Kept::name).collect();
        let part = format!("{} {}", names.len(), state.name());
        match names.len() {
            0 => None,
            _ if !state.needs_attention() => Some(part),
            many => {
                let more = match many.saturating_sub(NAMES) {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                let names = names[..many.min(NAMES)].join(", ");
                Some(format!("{part} ({names}{more})"))
            }
        }
    });
    let parts: Vec<String> = parts.collect();
    let count = match secrets.len() {
        1 => "1 secret".to_owned(),
        many => format!("{many} secrets"),
    };
    format!("{count}: {}", parts.join(", "))
}

fn row(secret: &Secret, report: &Report) -> Vec<Cell> {
    let now = report.now;
    let none = |field| match secret.knows(field) {
        true => EMPTY_CELL,
        false => NOT_KNOWN,
    };
    let since = |moment: Option<SystemTime>, field| match moment {
        Some(moment) if secret.knows(field) => span(now.duration_since(moment).unwrap_or_default()),
        _ => none(field).to_owned(),
    };
    let name = secret.state.name();
    let state = match secret.state {
        State::Stuck | State::Failing => alarming(format!(
            "{name} {}",
            since(secret.pending_since, Field::PendingSince)
        )),
        State::Overdue => alarming(format!("{name} {}", since(secret.due, Field::Due))),
        State::Rotating => noteworthy(format!(
            "{name} {}",
            since(secret.pending_since, Field::PendingSince)
        )),
        State::Off => noteworthy(name),
        State::Fine => Cell::new(name),
    };
    let interval = secret.interval.as_ref();
    let interval = interval.map_or(EMPTY_CELL, |interval| &interval.text);
    let mut row = vec![
        Cell::new(printable(&secret.name)),
        state,
        Cell::new(since(secret.current_since, Field::CurrentSince)),
        Cell::new(printable(interval)),
        Cell::new(from_now(secret.due, now)),
    ];
    if report.values {
        let strategy = secret.strategy.map(Strategy::name);
        row.push(Cell::new(strategy.unwrap_or_else(|| none(Field::Strategy))));
        row.push(match secret.overlap_until {
            Some(until) => noteworthy(format!(
                "{} left",
                span(until.duration_since(now).unwrap_or_default())
            )),
            None => Cell::new(none(Field::OverlapUntil)),
        });
    }
    row.push(match &secret.last_error {
        Some(error) => Cell::new(printable(error.kind())),
        None => Cell::new(none(Field::LastError)),
    });
    row
}

fn from_now(moment: Option<SystemTime>, now: SystemTime) -> String {
    let Some(moment) = moment else {
        return EMPTY_CELL.to_owned();
    };
    match moment.duration_since(now) {
        Ok(left) => format!("in {}", span(left)),
        Err(passed) => format!("{} ago", span(passed.duration())),
    }
}
