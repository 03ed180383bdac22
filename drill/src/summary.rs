//! The result in one line, and as JSON.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::rehearsal::Rehearsal;

/// All that was rehearsed.
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
    /// When it began: seconds since the application began to work.
    at_seconds: f64,
    took_ms: f64,
}

#[derive(Serialize)]
struct OfKind<'a> {
    kind: &'a str,
    requests: usize,
    failures: usize,
    slowest_ms: f64,
    /// For each rotation; none where a worker had not changed over.
    changed_over_ms: Vec<Option<f64>>,
}

impl<'a> Summary<'a> {
    /// Of these rehearsals; the report is where it was written.
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

/// `12345 requests, 0 failed; all had changed over 40 ms after AWSCURRENT's move`.
pub fn verdict(rehearsal: &Rehearsal) -> String {
    let observed = &rehearsal.rotating;
    let (requests, failures) = (observed.requests(), observed.failures());
    let changed_over = match rehearsal.changed_over_within() {
        Some(longest) => format!("all changed over within {:.0} ms", milliseconds(longest)),
        None => "not all changed over".to_owned(),
    };
    let first = observed.first_failure();
    let first = first.map_or_else(String::new, |first| format!("; the first failure: {first}"));
    format!("{requests} requests, {failures} failed; {changed_over}{first}")
}

/// Since the application began to work.
pub fn seconds(rehearsal: &Rehearsal, at: SystemTime) -> f64 {
    at.duration_since(rehearsal.began)
        .unwrap_or_default()
        .as_secs_f64()
}

/// For tables and JSON.
pub fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
