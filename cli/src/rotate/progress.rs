//! Progress of the rotations on stderr: a bar for each secret. Without a terminal there are no bars.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{follow::STEPS, log::Line, terminal::printable};

/// The bars.
pub(super) struct Progress {
    pub(super) bars: MultiProgress,
    style: ProgressStyle,
    width: usize,
}

impl Progress {
    pub(super) fn new(names: &[String]) -> Self {
        let style = ProgressStyle::with_template("{prefix} {spinner} {bar:8} {msg}");
        Self {
            bars: MultiProgress::new(),
            style: style.unwrap_or_else(|_| ProgressStyle::default_bar()),
            width: names
                .iter()
                .map(|name| name.chars().count())
                .max()
                .unwrap_or(0),
        }
    }

    pub(super) fn bar(&self, name: &str) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(STEPS.len() as u64));
        bar.set_style(self.style.clone());
        let name = printable(name);
        bar.set_prefix(format!("{name:width$}", width = self.width));
        bar.set_message(STEPS[0]);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }
}

/// A finished step moves the bar. After a failure, the service starts again with the first step.
pub(super) fn show(bar: &ProgressBar, line: &Line) {
    if line.failed() {
        bar.set_position(0);
        let failed = format!("{} failed: {}", line.step, line.message());
        bar.set_message(printable(&failed));
        return;
    }
    let done = STEPS.iter().position(|step| *step == line.step);
    let done = done.map_or(0, |place| place + 1);
    bar.set_position(done as u64);
    bar.set_message(STEPS.get(done).copied().unwrap_or_default());
}
