//! Observations of an application during rotations, and their table.

use std::time::{Duration, SystemTime};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::application::{Application, HandOver, Span, Summary, Version, Workload};

/// The text below the table. Both fit 80 columns.
pub const CHANGED_OVER: &str =
    "  changed over: from finishSecret until the last worker used the new version;
                median, and longest if that differs";

/// An application's work during one or more rotations.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The secret's name.
    pub secret: String,
    /// The strategy, for example `single user`.
    pub strategy: String,
    /// The region or endpoint.
    pub place: String,
    /// The database server and its version.
    pub server: String,
    /// When the application started.
    pub began: SystemTime,
    /// How long it worked.
    pub took: Duration,
    /// The length of a span: requests are counted per span.
    pub span: Duration,
    /// The rotations in order.
    pub rotations: Vec<Rotated>,
    /// The application with `rotating-secret`.
    pub rotating: Observed,
    /// The same application with another cache, for comparison.
    pub plain: Option<Observed>,
}

/// One rotation, seen from outside.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The id of the new version.
    pub version: String,
    /// The start of the changeover: when finishSecret began, or when AWSCURRENT was seen to move.
    pub finishing: SystemTime,
    /// The steps of the rotation.
    pub steps: Vec<Step>,
}

/// A step of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `setSecret`, for example.
    pub name: String,
    /// When it began.
    pub began: SystemTime,
    /// How long it took. Zero if only its time is known.
    pub took: Duration,
}

/// An application's workers with one cache.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The cache's name.
    pub cache: String,
    /// When they started. The first span begins then.
    pub began: SystemTime,
    /// One entry for each way to connect.
    pub kinds: Vec<Kind>,
}

/// The workers with one kind of connections.
#[derive(Clone, Debug)]
pub struct Kind {
    /// All their requests.
    pub summary: Summary,
    /// The same requests for each span.
    pub spans: Vec<Span>,
    /// When they changed over, for each rotation.
    pub hand_overs: Vec<HandOver>,
}

impl Observed {
    /// The observations of an application that has just started.
    pub fn new(cache: impl Into<String>, application: &Application, workload: &Workload) -> Self {
        let kind = |connections: &_| Kind {
            summary: Summary::new(*connections),
            spans: Vec::new(),
            hand_overs: Vec::new(),
        };
        Self {
            cache: cache.into(),
            began: application.began(),
            kinds: workload.connections.iter().map(kind).collect(),
        }
    }

    /// Records which workers changed over to this version. Call it before the next rotation begins.
    pub fn changed_over(&mut self, application: &Application, version: &Version) {
        for kind in &mut self.kinds {
            let hand_over = application.hand_over(kind.summary.connections, version);
            kind.hand_overs.push(hand_over);
        }
    }

    /// Records all requests. Call it at the end.
    pub fn end(&mut self, application: &Application) {
        for kind in &mut self.kinds {
            kind.summary = application.summary(kind.summary.connections);
            kind.spans = application.spans(kind.summary.connections);
        }
    }

    /// All requests.
    pub fn requests(&self) -> usize {
        self.kinds.iter().map(|kind| kind.summary.requests).sum()
    }

    /// The failed requests.
    pub fn failures(&self) -> usize {
        self.kinds.iter().map(|kind| kind.summary.failures).sum()
    }

    /// The first failure's message.
    pub fn first_failure(&self) -> Option<&str> {
        let mut failures = self.kinds.iter().map(|kind| &kind.summary.first_failure);
        failures.find_map(Option::as_deref)
    }
}

impl Rehearsal {
    /// Whether no request of `rotating-secret` failed, and all its workers changed over each time.
    pub fn passed(&self) -> bool {
        self.rotating.failures() == 0 && self.changed_over_within().is_some()
    }

    /// The longest changeover of any worker with `rotating-secret`. None if one did not change over.
    pub fn changed_over_within(&self) -> Option<Duration> {
        let delays = self.rotating.kinds.iter().map(|kind| self.delays(kind));
        delays.flatten().try_fold(Duration::ZERO, |longest, delay| {
            delay.map(|delay| longest.max(delay))
        })
    }

    /// For each rotation, the time until the last worker made its last request on an older version. None if that was not seen.
    pub fn delays(&self, kind: &Kind) -> Vec<Option<Duration>> {
        let rotations = self.rotations.iter().zip(&kind.hand_overs);
        let delay = |(rotated, hand_over): (&Rotated, &HandOver)| {
            let settled = hand_over.settled?;
            // a client that found AWSPENDING changes over before finishSecret
            Some(
                settled
                    .duration_since(rotated.finishing)
                    .unwrap_or_default(),
            )
        };
        rotations.map(delay).collect()
    }

    /// The median of all rotations and the longest one, in milliseconds.
    pub fn changed_over(&self, kind: &Kind) -> String {
        // a changeover that never ended counts as the longest
        let delays = self.delays(kind);
        let mut delays: Vec<Duration> = delays
            .into_iter()
            .map(|delay| delay.unwrap_or(Duration::MAX))
            .collect();
        delays.sort();
        let shown = |delay: Option<&Duration>| match delay {
            Some(&Duration::MAX) | None => "never".to_owned(),
            Some(delay) => milliseconds(*delay),
        };
        match (shown(delays.get(delays.len() / 2)), shown(delays.last())) {
            (median, longest) if median == longest => median,
            (median, longest) => format!("{median}, {longest}"),
        }
    }

    /// One column for each cache, and four rows for each kind of connections.
    pub fn table(&self) -> Table {
        let caches: Vec<&Observed> = [Some(&self.rotating), self.plain.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let header = caches.iter().map(|observed| observed.cache.as_str());
        table.set_header(["connections", ""].into_iter().chain(header));
        for column in 2..2 + caches.len() {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for (index, kind) in self.rotating.kinds.iter().enumerate() {
            let of_caches = |show: &dyn Fn(&Kind) -> String| -> Vec<String> {
                let kinds = caches.iter().filter_map(|cache| cache.kinds.get(index));
                kinds.map(show).collect()
            };
            let rows = [
                (
                    "requests",
                    of_caches(&|kind| kind.summary.requests.to_string()),
                ),
                (
                    "failed",
                    of_caches(&|kind| kind.summary.failures.to_string()),
                ),
                (
                    "slowest, ms",
                    of_caches(&|kind| milliseconds(kind.summary.slowest)),
                ),
                (
                    "changed over, ms",
                    of_caches(&|kind| self.changed_over(kind)),
                ),
            ];
            for (row, (measure, cells)) in rows.into_iter().enumerate() {
                let name = if row == 0 {
                    kind.summary.connections.name()
                } else {
                    ""
                };
                table.add_row(
                    [name.to_owned(), measure.to_owned()]
                        .into_iter()
                        .chain(cells),
                );
            }
        }
        table
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.0}", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::Connections;

    const BEGAN: SystemTime = SystemTime::UNIX_EPOCH;

    /// A rotation whose finishSecret began after one second, with the time when the last worker changed over, and the failures.
    fn rehearsal(settled: Option<u64>, failures: usize) -> Rehearsal {
        let at = |milliseconds| BEGAN + Duration::from_millis(milliseconds);
        let hand_over = HandOver {
            first: settled.map(at),
            settled: settled.map(at),
        };
        let summary = Summary {
            requests: 100,
            failures,
            ..Summary::new(Connections::Fresh)
        };
        let kind = Kind {
            summary,
            spans: Vec::new(),
            hand_overs: vec![hand_over],
        };
        Rehearsal {
            secret: "orders/db".to_owned(),
            strategy: "single user".to_owned(),
            place: "here".to_owned(),
            server: "PostgreSQL 17.0".to_owned(),
            began: BEGAN,
            took: Duration::from_secs(2),
            span: Duration::from_secs(1),
            rotations: vec![Rotated {
                version: "v2".to_owned(),
                finishing: at(1000),
                steps: Vec::new(),
            }],
            rotating: Observed {
                cache: "rotating-secret".to_owned(),
                began: BEGAN,
                kinds: vec![kind],
            },
            plain: None,
        }
    }

    #[test]
    fn a_rehearsal_has_passed_when_no_request_failed_and_every_worker_changed_over() {
        for (settled, failures, passed) in [
            (Some(1040), 0, true),
            (Some(1040), 1, false),
            (None, 0, false),
        ] {
            let rehearsal = rehearsal(settled, failures);
            assert_eq!(rehearsal.passed(), passed, "{settled:?}, {failures}");
        }
    }

    #[test]
    fn a_changeover_is_counted_from_finishsecret_and_is_not_negative_for_an_early_worker() {
        for (settled, shown) in [(Some(1040), "40"), (Some(900), "0"), (None, "never")] {
            let rehearsal = rehearsal(settled, 0);
            let kind = &rehearsal.rotating.kinds[0];
            assert_eq!(rehearsal.changed_over(kind), shown);
        }
    }
}
