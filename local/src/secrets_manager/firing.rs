//! Events that happen by themselves: scheduled rotations, and the removal of deleted secrets.
//!
//! The service rotates at some moment of a secret's window (docs); here it is when the window opens. Each window begins one rotation,
//! even if the rotation fails. If the clock skips several windows, only the last one counts. A rotation begins as with RotateSecret:
//! if an earlier one is not complete, that one is tried again. While a rotation runs, the next one waits.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use serde_json::json;
use tokio::{runtime::Handle, sync::Notify};
use uuid::Uuid;

use super::{
    SecretsManager, Shared,
    due::{Event, bury, next_window, schedule},
    error::ServiceError,
    rotation,
    secret::{Secret, region_of},
};
use crate::clock::{Clock, TooFar};

/// A rotation that a schedule began.
#[derive(Clone, Debug)]
pub struct Fired {
    /// The secret's name.
    pub secret: String,
    /// The token of the rotation, or the error of RotateSecret.
    pub begun: Result<String, ServiceError>,
}

impl SecretsManager {
    /// Moves the clock, and begins each rotation whose window has opened. They have begun when this returns.
    ///
    /// # Errors
    ///
    /// The time would be after the year 9999. The clock does not move.
    pub fn advance(&self, by: Duration) -> Result<Vec<Fired>, TooFar> {
        self.clock().advance(by)?;
        Ok(self.fire())
    }

    /// Call this when an event may be due earlier than before.
    pub(super) fn reschedule(&self) {
        // without a runtime no task can wait
        if let Ok(runtime) = Handle::try_current() {
            let (shared, clock) = (Arc::downgrade(&self.shared), self.clock().clone());
            let rescheduled = self.shared.rescheduled.clone();
            let begin = || drop(runtime.spawn(wait(shared, clock, rescheduled)));
            self.shared.waiting.call_once(begin);
        }
        self.shared.rescheduled.notify_one();
    }

    /// Begins all events that are due.
    fn fire(&self) -> Vec<Fired> {
        let now = self.clock().now();
        let mut inner = self.lock();
        bury(&mut inner, now);
        let is_due = |secret: &&Secret| {
            next_window(&inner, secret).is_some_and(|window| window.opens <= now)
                && !rotation::is_running(&inner, &secret.arn)
        };
        let due = inner.regions.secrets().filter(is_due);
        let due: Vec<(String, String)> = due
            .map(|secret| (secret.arn.clone(), secret.name.clone()))
            .collect();
        due.into_iter()
            .map(|(arn, secret)| {
                let token = Uuid::new_v4().to_string();
                let input = json!({ "SecretId": arn, "ClientRequestToken": token });
                let region = region_of(&arn).unwrap_or_default();
                let begun = rotation::rotate_secret(self, &mut inner, region, input, now);
                // a refused rotation also uses up its window
                inner.fired.insert(arn, now);
                Fired {
                    secret,
                    begun: begun.map(|_| token),
                }
            })
            .collect()
    }
}

/// Begins rotations when they are due, as long as the service exists.
async fn wait(shared: Weak<Shared>, clock: Clock, rescheduled: Arc<Notify>) {
    while let Some(shared) = shared.upgrade() {
        let service = SecretsManager { shared };
        let now = clock.now();
        service.fire();
        let rotations = schedule(&service.lock()).into_iter();
        let mut rotations = rotations.filter(|due| due.event == Event::Rotation);
        // a late rotation waits for the end of the current one, which reschedules
        let next = rotations.find(|due| due.at > now);
        drop(service);
        let due = async {
            match next {
                Some(next) => clock.sleep_until(next.at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = rescheduled.notified() => {}
        }
    }
}
