//! A sign of life where nobody sees a bar: in CI, in cron, in a pipe.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::time::{Instant, interval_at};

use crate::terminal::{span, tell};

/// Often enough for those who watch a log, and rarely enough for those who keep it.
const EVERY: Duration = Duration::from_secs(15);

/// Does the work. Where stdout is no terminal, stderr says every 15 seconds what is waited for.
pub async fn during<T>(what: impl Fn() -> String, work: impl Future<Output = T>) -> T {
    if io::stdout().is_terminal() {
        return work.await;
    }
    let say = |passed| tell(&format!("still at work for {}: {}", span(passed), what()));
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
    async fn a_minute_of_work_is_told_of_every_fifteen_seconds_and_short_work_is_not() {
        for (seconds, expected) in [(14, vec![]), (61, vec![15, 30, 45, 60])] {
            let mut told = Vec::new();
            let work = tokio::time::sleep(Duration::from_secs(seconds));
            beat(|passed| told.push(passed.as_secs()), work).await;
            assert_eq!(told, expected);
        }
    }
}
