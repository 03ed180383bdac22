//! A fleet of clients that start together: how even their calls to Secrets Manager are. The clients are real, their clock is not.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rotating_secret::{
    RotatingSecret,
    provider::{ProviderError, SecretProvider, Stage, Version},
};
use tokio::{
    runtime::Builder,
    task::spawn_blocking,
    time::{Instant, sleep},
};

use super::{
    Effort, Error,
    row::{Goal, Row, Sample},
};

const TTL: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);
/// Some hundred calls of 10,000 clients: fewer would differ by chance alone.
const WINDOW: Duration = Duration::from_secs(10);

/// How it is measured, for the page.
pub fn method(effort: Effort) -> String {
    format!(
        "{} clients are built at the same moment, with a `ttl` of {} s, in one process whose clock jumps to the next event. Counted are their \
         calls in each {} s; the busiest of these is compared with the mean. Without jitter all would ask together, once in a `ttl`. A client \
         asks again after 75 to 95 % of its `ttl`, and the first time after 25 to 95 %.",
        effort.fleet,
        TTL.as_secs(),
        WINDOW.as_secs()
    )
}

/// Runs the fleet for four hours of its own time.
///
/// # Errors
///
/// A client does not start.
pub async fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let ran = spawn_blocking(move || run(effort.fleet)).await;
    let jittered = ran.map_err(io::Error::other)??;
    let mut unjittered = Calls::default();
    for turn in 1..(4 * HOUR).div_duration_f64(TTL) as u32 {
        *unjittered.0.entry(window(TTL * turn)).or_default() += effort.fleet;
    }
    // the first calls are those of the start
    let hours = [
        ("the first hour", WINDOW, HOUR),
        ("the fourth hour", 3 * HOUR, 4 * HOUR),
    ];
    let row = |(hour, from, to)| Row {
        what: format!(
            "calls in the busiest {} s of {hour}, by the mean",
            WINDOW.as_secs()
        ),
        ours: Sample::one(jittered.peak_over_mean(from, to), ""),
        peer: Some((
            "without jitter",
            Sample::one(unjittered.peak_over_mean(from, to), ""),
        )),
        goal: Some(Goal::AtMost(1.5)),
    };
    Ok(hours.into_iter().map(row).collect())
}

/// Calls, by the window that they fall in.
#[derive(Clone, Debug, Default)]
struct Calls(BTreeMap<u64, usize>);

impl Calls {
    fn peak_over_mean(&self, from: Duration, to: Duration) -> f64 {
        let (first, end) = (window(from), window(to));
        let calls = || self.0.range(first..end).map(|(_, calls)| *calls);
        let mean = calls().sum::<usize>() as f64 / (end - first) as f64;
        calls().max().unwrap_or_default() as f64 / mean
    }
}

fn window(at: Duration) -> u64 {
    at.as_secs() / WINDOW.as_secs()
}

/// A store that counts when it is asked.
#[derive(Clone)]
struct Counting {
    began: Instant,
    calls: Arc<Mutex<Calls>>,
}

impl SecretProvider for Counting {
    async fn fetch(&self, _: &str, _: Stage) -> Result<Version, ProviderError> {
        let window = window(self.began.elapsed());
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.0.entry(window).or_default() += 1;
        Ok(Version::text("v1", "{}"))
    }
}

fn run(clients: usize) -> Result<Calls, Error> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let store = Counting {
            began: Instant::now(),
            calls: Arc::default(),
        };
        let mut fleet = Vec::with_capacity(clients);
        for _ in 0..clients {
            let client = RotatingSecret::builder("orders/db").ttl(TTL);
            let client = client.build(store.clone()).await;
            fleet.push(client.map_err(|error| Error::Client(error.to_string()))?);
        }
        sleep(4 * HOUR).await;
        let calls = store.calls.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(calls.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_compared_with_the_mean_of_all_windows_also_of_those_without_a_call() {
        let calls = Calls(BTreeMap::from([(0, 100), (1, 6), (3, 2), (4, 100)]));
        let (from, to) = (WINDOW, 4 * WINDOW);
        assert!((calls.peak_over_mean(from, to) - 6.0 / (8.0 / 3.0)).abs() < 1e-9);
    }

    #[tokio::test]
    async fn a_fleet_that_started_together_asks_more_evenly_than_one_without_jitter() {
        let effort = Effort {
            fleet: 100,
            ..Effort::SHORT
        };
        let rows = measure(effort).await.unwrap();
        assert_eq!(rows.len(), 2);
        assert!(
            rows.iter().all(|row| row.ratio().unwrap() > 2.0),
            "{rows:?}"
        );
    }
}
