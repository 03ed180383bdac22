//! A read from the client's cache, beside other caches. `client/bench` measures: with its crates in this workspace, cargo would build ours
//! with their features.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde::Deserialize;

use super::{
    Error,
    row::{Goal, Row, Sample},
};

/// How it is measured, for the page.
pub const METHOD: &str = "[client/bench](../client/bench/src/reads.rs) reads in a release build without LTO. All ways to read take turns, nine \
    of 5 ms each; a turn's figure is the best of five. The time is that of one processor: with 8 threads, each thread has its share of \
    one. `Cache` is arc-swap's, and `RwLock` and `moka` hold an `Arc`. The entry of the 1,000 callers has expired, and the store answers \
    200 ms after all of them have asked.";

const CACHING: &str = "aws_secretsmanager_caching";

/// What `client/bench` prints.
#[derive(Deserialize)]
struct Figures {
    /// Nanoseconds, by name and number of threads.
    reads: BTreeMap<String, BTreeMap<usize, Vec<f64>>>,
    /// Of one read.
    allocations: BTreeMap<String, f64>,
    expired: Expired,
}

#[derive(Deserialize)]
struct Expired {
    callers: usize,
    current: Callers,
    aws_secretsmanager_caching: Callers,
}

/// What callers at an expired entry caused.
#[derive(Deserialize)]
struct Callers {
    /// Calls to the store.
    asked: usize,
    /// Callers without an answer before the store gave its own.
    waiting: usize,
    slowest_ms: f64,
}

/// Runs `client/bench`.
///
/// # Errors
///
/// It does not run, or prints no figures.
pub fn measure(program: &Path) -> Result<Vec<Row>, Error> {
    let name = || program.display().to_string();
    let failed = |said: String| Error::Program {
        program: name(),
        said,
    };
    let ran = Command::new(program).output();
    let ran = ran.map_err(|error| failed(error.to_string()))?;
    if !ran.status.success() {
        return Err(failed(String::from_utf8_lossy(&ran.stderr).into_owned()));
    }
    let figures = serde_json::from_slice(&ran.stdout);
    let figures = figures.map_err(|source| Error::Figures {
        program: name(),
        source,
    })?;
    Ok(rows(&figures))
}

fn rows(figures: &Figures) -> Vec<Row> {
    let mut rows = Vec::new();
    for (way, text, floor, floor_text) in [
        (
            "current",
            "current()",
            "arc-swap",
            "arc-swap's load() alone",
        ),
        (
            "reader",
            "reader()",
            "arc-swap's cache",
            "arc-swap's Cache alone",
        ),
    ] {
        for threads in [1, 2, 8] {
            let what = match threads {
                1 => format!("{text}, one thread"),
                _ => format!("{text}, {threads} threads"),
            };
            let mut beside = |peer, sample, goal| {
                let (what, ours) = (what.clone(), read(figures, way, threads));
                let (peer, goal) = (Some((peer, sample)), Some(goal));
                rows.push(Row {
                    what,
                    ours,
                    peer,
                    goal,
                });
            };
            beside(floor_text, read(figures, floor, threads), Goal::Above(0.5));
            if threads > 1 {
                beside("on one thread", read(figures, way, 1), Goal::Within(1.1));
            }
            for peer in ["RwLock", "moka", CACHING] {
                beside(peer, read(figures, peer, threads), Goal::Times(1.0));
            }
        }
        let allocations = |way| {
            let counted = figures.allocations.get(way).copied();
            Sample::one(counted.unwrap_or(f64::NAN), "")
        };
        rows.push(Row {
            what: format!("{text}: allocations"),
            ours: allocations(way),
            peer: Some((CACHING, allocations(CACHING))),
            goal: Some(Goal::AtMost(0.0)),
        });
    }
    rows.extend(expired(&figures.expired));
    rows
}

fn expired(figures: &Expired) -> [Row; 3] {
    let row = |what: &str, of: fn(&Callers) -> f64, unit, goal| Row {
        what: format!("{} callers at an expired entry: {what}", figures.callers),
        ours: Sample::one(of(&figures.current), unit),
        peer: Some((
            CACHING,
            Sample::one(of(&figures.aws_secretsmanager_caching), unit),
        )),
        goal,
    };
    let no_caller = Some(Goal::AtMost(0.0));
    let once = Some(Goal::AtMost(1.0));
    [
        row("calls", |callers| callers.asked as f64, "", once),
        row("they wait", |callers| callers.waiting as f64, "", no_caller),
        row("the slowest", |callers| callers.slowest_ms, "ms", None),
    ]
}

fn read(figures: &Figures, way: &str, threads: usize) -> Sample {
    let times = figures.reads.get(way).and_then(|way| way.get(&threads));
    Sample::of(times.cloned().unwrap_or_default(), "ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_read_is_compared_with_each_peer_on_as_many_threads() {
        let figures = serde_json::from_value(serde_json::json!({
            "reads": {
                "current": { "1": [9.4, 9.5, 9.9], "2": [10.0], "8": [11.0] }, "arc-swap": { "1": [9.0] },
                "moka": { "2": [90.0] },
            },
            "allocations": { "current": 0.0, CACHING: 7.0 },
            "expired": {
                "callers": 1000, "current": { "asked": 1, "waiting": 0, "slowest_ms": 0.5 },
                CACHING: { "asked": 1000, "waiting": 1000, "slowest_ms": 250.0 },
            },
        }));
        let rows = rows(&figures.unwrap());
        let cells: Vec<String> = rows.iter().map(|row| row.cells().join(" | ")).collect();
        for expected in [
            "current(), one thread | 9.50 (9.40–9.90) ns | 9 ns, arc-swap's load() alone | 0.95 times | at most 0.5 ns above: reached",
            "current(), 2 threads | 10 ns | 9.50 (9.40–9.90) ns, on one thread | 0.95 times | within 1.1: reached",
            "current(), 8 threads | 11 ns | 9.50 (9.40–9.90) ns, on one thread | 0.86 times | within 1.1: not reached",
            "current(), 2 threads | 10 ns | 90 ns, moka | 9 times | 1 times: reached",
            "current(): allocations | 0 | 7, aws_secretsmanager_caching |  | at most 0: reached",
            "1000 callers at an expired entry: calls | 1 | 1000, aws_secretsmanager_caching | 1000 times | at most 1: reached",
            "1000 callers at an expired entry: they wait | 0 | 1000, aws_secretsmanager_caching |  | at most 0: reached",
        ] {
            assert!(cells.iter().any(|cells| cells == expected), "{cells:#?}");
        }
    }

    #[test]
    fn a_program_that_is_not_built_is_named_in_the_error() {
        let error = measure(Path::new("/nowhere/rotating-secret-bench"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("/nowhere/rotating-secret-bench failed"),
            "{error}"
        );
    }
}
