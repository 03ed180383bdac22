//! The result in one line, and as JSON.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::rehearsal::{Observed, Rehearsal};

/// The result of all rehearsals.
#[derive(Serialize)]
pub struct Summary<'a> {
    passed: bool,
    report: &'a Path,
    rehearsals: Vec<OfSecret<'a>>,
}

#[derive(Serialize)]
struct OfSecret<'a> {
    secret: &'a str,
    strategy: &'a str,
    place: &'a str,
    server: &'a str,
    passed: bool,
    requests: usize,
    failures: usize,
    first_failure: Option<&'a str>,
    changed_over_ms: Option<f64>,
    seconds: f64,
    rotations: Vec<OfRotation<'a>>,
    connections: Vec<OfKind<'a>>,
}

#[derive(Serialize)]
struct OfRotation<'a> {
    version: &'a str,
    steps: Vec<OfStep<'a>>,
}

#[derive(Serialize)]
struct OfStep<'a> {
    step: &'a str,
    /// When it began, in seconds since the start of the application.
    at_seconds: f64,
    took_ms: f64,
}

#[derive(Serialize)]
struct OfKind<'a> {
    kind: &'a str,
    requests: usize,
    failures: usize,
    slowest_ms: f64,
    /// For each rotation. None if a worker had not changed over.
    changed_over_ms: Vec<Option<f64>>,
}

impl<'a> Summary<'a> {
    /// The summary of these rehearsals; `report` is the path of the report.
    pub fn of(rehearsals: &'a [Rehearsal], report: &'a Path) -> Self {
        Self {
            passed: rehearsals.iter().all(Rehearsal::passed),
            report,
            rehearsals: rehearsals.iter().map(of_secret).collect(),
        }
    }
}

fn of_secret(rehearsal: &Rehearsal) -> OfSecret<'_> {
    let rotations = rehearsal.rotations.iter().map(|rotated| OfRotation {
        version: &rotated.version,
        steps: rotated
            .steps
            .iter()
            .map(|step| OfStep {
                step: &step.name,
                at_seconds: seconds(rehearsal, step.began),
                took_ms: milliseconds(step.took),
            })
            .collect(),
    });
    let connections = rehearsal.rotating.kinds.iter().map(|kind| {
        let delays = rehearsal.delays(kind);
        OfKind {
            kind: kind.summary.connections.name(),
            requests: kind.summary.requests,
            failures: kind.summary.failures,
            slowest_ms: milliseconds(kind.summary.slowest),
            changed_over_ms: delays
                .into_iter()
                .map(|delay| delay.map(milliseconds))
                .collect(),
        }
    });
    OfSecret {
        secret: &rehearsal.secret,
        strategy: &rehearsal.strategy,
        place: &rehearsal.place,
        server: &rehearsal.server,
        passed: rehearsal.passed(),
        requests: rehearsal.rotating.requests(),
        failures: rehearsal.rotating.failures(),
        first_failure: rehearsal.rotating.first_failure(),
        changed_over_ms: rehearsal.changed_over_within().map(milliseconds),
        seconds: rehearsal.took.as_secs_f64(),
        rotations: rotations.collect(),
        connections: connections.collect(),
    }
}

/// `12,345 requests, 0 failed; all changed over within 40 ms`.
pub fn verdict(rehearsal: &Rehearsal) -> String {
    let observed = &rehearsal.rotating;
    let (requests, failures) = (observed.requests(), observed.failures());
    let changed_over = match rehearsal.changed_over_within() {
        Some(longest) => format!("all changed over within {:.0} ms", milliseconds(longest)),
        None => "not all changed over".to_owned(),
    };
    let first = observed.first_failure();
    let first = first.map_or_else(String::new, |first| format!("; the first failure: {first}"));
    let (requests, failures) = (thousands(requests), thousands(failures));
    format!("{requests} requests, {failures} failed; {changed_over}{first}")
}

/// One sentence about all: `20 rotations; 0 of 6,335 requests failed; a plain cache lost 431 of 897`.
pub fn sentence(rehearsals: &[Rehearsal]) -> String {
    let sum = |of: &dyn Fn(&Rehearsal) -> usize| thousands(rehearsals.iter().map(of).sum());
    let rotations: usize = rehearsals
        .iter()
        .map(|rehearsal| rehearsal.rotations.len())
        .sum();
    let times = if rotations == 1 {
        "rotation"
    } else {
        "rotations"
    };
    let mut sentence = format!(
        "{rotations} {times}; {} of {} requests failed",
        sum(&|rehearsal| rehearsal.rotating.failures()),
        sum(&|rehearsal| rehearsal.rotating.requests())
    );
    if rehearsals.iter().any(|rehearsal| rehearsal.plain.is_some()) {
        let plain = |of: fn(&Observed) -> usize| {
            sum(&move |rehearsal| rehearsal.plain.as_ref().map_or(0, of))
        };
        let (lost, all) = (plain(Observed::failures), plain(Observed::requests));
        sentence += &format!("; a plain cache lost {lost} of {all}");
    }
    sentence
}

/// `6,335`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The time since the application started.
pub fn seconds(rehearsal: &Rehearsal, at: SystemTime) -> f64 {
    at.duration_since(rehearsal.began)
        .unwrap_or_default()
        .as_secs_f64()
}

/// For tables and JSON.
pub fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_number_has_a_comma_for_each_thousand() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (6335, "6,335"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
