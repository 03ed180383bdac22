//! A sign of life without a progress bar: in CI, in cron, in a pipe.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::time::{Instant, interval_at};

use crate::terminal::{span, tell};

/// Often enough for a person who watches the log, and rarely enough for a short log.
const EVERY: Duration = Duration::from_secs(15);

/// Does the work. If stdout is not a terminal, a line on stderr reports every 15 seconds what the command waits for.
pub async fn during<T>(what: impl Fn() -> String, work: impl Future<Output = T>) -> T {
    if io::stdout().is_terminal() {
        return work.await;
    }
    let say = |passed| tell(&format!("still working after {}: {}", span(passed), what()));
    beat(say, work).await
}

async fn beat<T>(mut say: impl FnMut(Duration), work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut beats = interval_at(began + EVERY, EVERY);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = beats.tick() => say(began.elapsed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_of_a_minute_prints_a_line_every_fifteen_seconds_and_short_work_prints_none() {
        for (seconds, expected) in [(14, vec![]), (61, vec![15, 30, 45, 60])] {
            let mut told = Vec::new();
            let work = tokio::time::sleep(Duration::from_secs(seconds));
            beat(|passed| told.push(passed.as_secs()), work).await;
            assert_eq!(told, expected);
        }
    }
}
