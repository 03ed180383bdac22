//! Progress of a drill, only in a terminal: a bar, the requests, the current step.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{interval, sleep};

use crate::application::Application;

/// Often enough to look alive.
const REFRESH: Duration = Duration::from_millis(200);

/// How often to check the condition that the drill waits for.
const POLL: Duration = Duration::from_millis(20);

/// The bar on stderr.
pub struct Progress<'a> {
    bar: ProgressBar,
    application: &'a Application,
    begun: Instant,
}

impl<'a> Progress<'a> {
    /// `duration` does not include the rotations.
    pub fn new(application: &'a Application, duration: Duration) -> Self {
        let bar = ProgressBar::new(duration.as_millis().try_into().unwrap_or(u64::MAX));
        // an invalid template leaves the default one
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {elapsed:>4}  {prefix}  {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            application,
            begun: Instant::now(),
        }
    }

    /// Shows what happens now.
    pub fn say(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
        self.show();
    }

    /// Waits, and moves the bar.
    pub async fn wait(&self, span: Duration) {
        let (before, begun) = (self.bar.position(), Instant::now());
        let end = begun + span;
        while Instant::now() < end {
            self.during(sleep(REFRESH.min(end - Instant::now()))).await;
            let passed = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
            self.bar.set_position(before.saturating_add(passed));
        }
    }

    /// Updates the figures while the work runs.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut ticks = interval(REFRESH);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.show(),
            }
        }
    }

    /// Waits for the condition, at most for `limit`.
    pub async fn wait_until(&self, limit: Duration, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() && begun.elapsed() < limit {
            self.show();
            sleep(POLL).await;
        }
    }

    /// The current figures.
    pub fn show(&self) {
        let requests = self.application.requests();
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        self.bar.set_prefix(format!(
            "{:.0} requests/s, {} failed",
            requests as f64 / seconds,
            self.application.failures()
        ));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
