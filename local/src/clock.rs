//! The world's clock: the machine's time plus an offset. All services read the time here.
//!
//! It moves forwards only. Programs, the PostgreSQL server and the function's log keep the machine's time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// When the year 10000 begins, in seconds since 1970: wire formats write years with four digits.
const END: i64 = 253_402_300_800;

/// A clock that can be moved. Clones share the time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<watch::Sender<TimeDelta>>);

/// The clock could not be moved.
#[derive(Debug, thiserror::Error)]
#[error("the clock would leave the year 9999: move it by less")]
pub struct TooFar;

impl Clock {
    /// The time in this world.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + *self.0.borrow()
    }

    pub(crate) fn advance(&self, by: Duration) -> Result<(), TooFar> {
        let by = TimeDelta::from_std(by).map_err(|_| TooFar)?;
        let then = self.now().checked_add_signed(by);
        if then.is_none_or(|then| then.timestamp() >= END) {
            return Err(TooFar);
        }
        self.0.send_modify(|moved| *moved += by);
        Ok(())
    }

    /// Waits until the clock reaches this moment, by itself or because it was moved.
    pub(crate) async fn sleep_until(&self, moment: DateTime<Utc>) {
        let mut moved = self.0.subscribe();
        loop {
            let left = (moment - self.now()).to_std().unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                // cannot fail: the sender is self.0
                _ = moved.changed() => {}
            }
        }
    }

    /// Waits for this duration.
    pub(crate) async fn sleep(&self, time: Duration) {
        let time = TimeDelta::from_std(time).ok();
        match time.and_then(|time| self.now().checked_add_signed(time)) {
            Some(moment) => self.sleep_until(moment).await,
            None => std::future::pending().await, // beyond the last possible date
        }
    }
}
