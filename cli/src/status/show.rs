//! The table and the JSON.

use std::{io, time::SystemTime};

use comfy_table::Cell;

use super::{
    judge::State,
    secret::{Report, Secret},
};
use crate::{
    secrets::Strategy,
    terminal::{self, NOTHING_TO_TELL, alarming, noteworthy, printable, span},
};

pub(super) fn table(report: &Report) -> io::Result<()> {
    if report.secrets.is_empty() {
        terminal::tell(
            "No secret is set up for rotation here: check --region, --profile and --tag, or turn one's rotation on with RotateSecret.",
        );
    } else {
        let mut header = vec!["SECRET", "STATE", "AGE", "EVERY", "DUE"];
        if report.values {
            header.extend(["STRATEGY", "OVERLAP"]);
        }
        header.push("LAST ERROR");
        let mut table = terminal::table(&header);
        for secret in &report.secrets {
            table.add_row(row(secret, report));
        }
        terminal::print(&terminal::lines(table))?;
        // a column of a few letters is no place for sentences
        for secret in &report.secrets {
            if let Some(error) = &secret.last_error {
                terminal::print("")?;
                terminal::say(&format!("{}: {}", secret.name, error.text()))?;
            }
        }
    }
    for note in &report.notes {
        terminal::tell(&format!("Note: {note}"));
    }
    Ok(())
}

fn row(secret: &Secret, report: &Report) -> Vec<Cell> {
    let now = report.now;
    let since = |moment: Option<SystemTime>| match moment {
        Some(moment) => span(now.duration_since(moment).unwrap_or_default()),
        None => NOTHING_TO_TELL.to_owned(),
    };
    let name = secret.state.name();
    let state = match secret.state {
        State::Stuck | State::Failing => {
            alarming(format!("{name} {}", since(secret.pending_since)))
        }
        State::Overdue => alarming(format!("{name} {}", since(secret.due))),
        State::Rotating => noteworthy(format!("{name} {}", since(secret.pending_since))),
        State::Off => noteworthy(name),
        State::Fine => Cell::new(name),
    };
    let interval = secret.interval.as_ref();
    let interval = interval.map_or(NOTHING_TO_TELL, |interval| &interval.text);
    let mut row = vec![
        Cell::new(printable(&secret.name)),
        state,
        Cell::new(since(secret.current_since)),
        Cell::new(printable(interval)),
        Cell::new(from_now(secret.due, now)),
    ];
    if report.values {
        row.push(Cell::new(
            secret.strategy.map_or(NOTHING_TO_TELL, Strategy::name),
        ));
        row.push(match secret.overlap_until {
            Some(until) => noteworthy(format!(
                "{} left",
                span(until.duration_since(now).unwrap_or_default())
            )),
            None => Cell::new(NOTHING_TO_TELL),
        });
    }
    row.push(match &secret.last_error {
        Some(error) => Cell::new(printable(error.kind())),
        None => Cell::new(NOTHING_TO_TELL),
    });
    row
}

fn from_now(moment: Option<SystemTime>, now: SystemTime) -> String {
    let Some(moment) = moment else {
        return NOTHING_TO_TELL.to_owned();
    };
    match moment.duration_since(now) {
        Ok(left) => format!("in {}", span(left)),
        Err(passed) => format!("{} ago", span(passed.duration())),
    }
}
