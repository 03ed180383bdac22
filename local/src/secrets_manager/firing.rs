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

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::{runtime::Handle, sync::Notify};
use uuid::Uuid;

use super::{
    Inner, SecretsManager, Shared,
    error::ServiceError,
    rotation,
    schedule::Window,
    secret::{Secret, region_of},
};
use crate::clock::{Clock, TooFar};

/// What happens next to a secret by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// When: the opening of the window of a rotation, the end of a deleted secret's recovery window.
    pub at: DateTime<Utc>,
    /// The end of a rotation's window, which DescribeSecret calls NextRotationDate while none is late.
    pub until: Option<DateTime<Utc>>,
    /// What.
    pub event: Event,
    /// The secret's name.
    pub secret: String,
}

/// What happens to a secret by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is rotated.
    Rotation,
    /// It is gone.
    Deletion,
}

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

    /// What happens next by itself, the earliest first.
    pub fn schedule(&self) -> Vec<Due> {
        let inner = self.lock();
        let rotations = inner.regions.secrets().filter_map(|secret| {
            let Window { opens, closes } = next_window(&inner, secret)?;
            Some(Due {
                at: opens,
                until: Some(closes),
                event: Event::Rotation,
                secret: secret.name.clone(),
            })
        });
        let deletions = inner.regions.secrets().filter_map(|secret| {
            Some(Due {
                at: secret.deleted?,
                until: None,
                event: Event::Deletion,
                secret: secret.name.clone(),
            })
        });
        let mut due: Vec<Due> = rotations.chain(deletions).collect();
        due.sort_by_key(|due| due.at);
        due
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
        let rotations = service.schedule().into_iter();
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

/// The window in which a schedule rotates a secret next, which may have opened already.
fn next_window(inner: &Inner, secret: &Secret) -> Option<Window> {
    if secret.deleted.is_some() || secret.rotation_enabled != Some(true) {
        return None;
    }
    let fired = inner.fired.get(&secret.arn).copied();
    let base = fired.map_or(secret.schedule_base, |fired| {
        fired.max(secret.schedule_base)
    });
    secret.rotation_rules.as_ref()?.next_window(base)
}

/// A rotation of this secret begins now: if a window is open, or has passed, it has its rotation.
pub(super) fn use_window(inner: &mut Inner, arn: &str, now: DateTime<Utc>) {
    let mut secrets = inner.regions.secrets();
    let opens = secrets
        .find(|secret| secret.arn == arn)
        .and_then(|secret| next_window(inner, secret))
        .map(|window| window.opens);
    if opens.is_some_and(|opens| opens <= now) {
        inner.fired.insert(arn.to_owned(), now);
    }
}

/// Removes the secrets whose recovery window is over.
pub(super) fn bury(inner: &mut Inner, now: DateTime<Utc>) {
    inner
        .regions
        .retain(|secret| secret.deleted.is_none_or(|end| now < end));
}
