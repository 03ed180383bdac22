//! The table, and the summary below it.

use std::{collections::BTreeSet, io};

use clap::ValueEnum;
use comfy_table::Cell;

use super::{
    gather::{Finding, Report},
    judge::Kind,
};
use crate::{
    table::{
        Narrow::{Cut, Stays},
        alarming, fitted, noteworthy,
    },
    terminal::{self, printable, width},
};

pub(super) fn table(report: &Report) -> io::Result<()> {
    if !report.findings.is_empty() {
        let columns = [("SECRET", Stays), ("FINDING", Stays), ("DETAIL", Cut)];
        let rows = report.findings.iter().map(row).collect();
        terminal::print(&fitted(&columns, rows, width()))?;
        terminal::print("")?;
    }
    terminal::say(&summary(report))?;
    for note in &report.notes {
        terminal::tell(&format!("Note: {note}"));
    }
    Ok(())
}

fn row(finding: &Finding) -> Vec<Cell> {
    let kind = match finding.finding {
        kind @ (Kind::Public | Kind::OtherAccount | Kind::Overdue) => alarming(kind.name()),
        kind => noteworthy(kind.name()),
    };
    let (name, detail) = (printable(&finding.secret), printable(&finding.detail));
    vec![Cell::new(name), kind, Cell::new(detail)]
}

/// `12 secrets, 3 with findings: 1 public, 2 no-rotation`.
fn summary(report: &Report) -> String {
    let with: BTreeSet<&str> = report
        .findings
        .iter()
        .map(|found| found.arn.as_str())
        .collect();
    let secrets = match report.secrets {
        1 => "1 secret".to_owned(),
        many => format!("{many} secrets"),
    };
    let parts = Kind::value_variants().iter().filter_map(|kind| {
        let count = report
            .findings
            .iter()
            .filter(|found| found.finding == *kind)
            .count();
        (count > 0).then(|| format!("{count} {}", kind.name()))
    });
    let parts: Vec<String> = parts.collect();
    match with.len() {
        0 => format!("{secrets}, none with findings"),
        with => format!("{secrets}, {with} with findings: {}", parts.join(", ")),
    }
}
