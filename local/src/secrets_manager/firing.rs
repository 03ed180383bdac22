//! What happens by itself when its time has come: rotations by their schedule, and the end of deleted secrets.
//!
//! The service rotates at some moment of a secret's window (docs); here it is the moment in which the window opens. Each window
//! begins one rotation, whatever comes of it. If the clock was moved over many windows, the last of them alone does. A rotation
//! is begun as RotateSecret begins one: where a previous one isn't complete, that one is attempted again. While one runs, what is
//! due waits for its end.

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
    /// The token of the rotation, or why RotateSecret was refused.
    pub begun: Result<String, ServiceError>,
}

impl SecretsManager {
    /// Moves the clock, and begins each rotation whose window has opened by then. They are begun when this returns.
    ///
    /// # Errors
    ///
    /// That is beyond the year 9999; the clock stays where it is.
    pub fn advance(&self, by: Duration) -> Result<Vec<Fired>, TooFar> {
        self.clock().advance(by)?;
        Ok(self.fire())
    }

    /// Something may be due earlier than was known: has it waited for from now on.
    pub(super) fn reschedule(&self) {
        // without a runtime there is nobody who could wait
        if let Ok(runtime) = Handle::try_current() {
            let (shared, clock) = (Arc::downgrade(&self.shared), self.clock().clone());
            let rescheduled = self.shared.rescheduled.clone();
            let begin = || drop(runtime.spawn(wait(shared, clock, rescheduled)));
            self.shared.waiting.call_once(begin);
        }
        self.shared.rescheduled.notify_one();
    }

    /// Begins what is due.
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
                // also one that was refused: its window had its rotation
                inner.fired.insert(arn, now);
                Fired {
                    secret,
                    begun: begun.map(|_| token),
                }
            })
            .collect()
    }
}

/// Begins rotations when they are due, as long as there is a service.
async fn wait(shared: Weak<Shared>, clock: Clock, rescheduled: Arc<Notify>) {
    while let Some(shared) = shared.upgrade() {
        let service = SecretsManager { shared };
        let now = clock.now();
        service.fire();
        let rotations = schedule(&service.lock()).into_iter();
        let mut rotations = rotations.filter(|due| due.event == Event::Rotation);
        // one that is late waits for the end of a rotation, which reschedules
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
