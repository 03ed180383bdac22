//! The next events: the windows of schedules, and the ends of recovery windows.

use chrono::{DateTime, Utc};

use super::{Inner, schedule::Window, secret::Secret};

/// The next event of a secret that happens by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The start of a rotation's window, or the end of the recovery window.
    pub at: DateTime<Utc>,
    /// The end of a rotation's window. DescribeSecret returns it as NextRotationDate, unless a rotation is late.
    pub until: Option<DateTime<Utc>>,
    /// The kind of event.
    pub event: Event,
    /// The secret's name.
    pub secret: String,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is rotated.
    Rotation,
    /// It is removed.
    Deletion,
}

/// The earliest first.
pub(super) fn schedule(inner: &Inner) -> Vec<Due> {
    let rotations = inner.regions.secrets().filter_map(|secret| {
        let Window { opens, closes } = next_window(inner, secret)?;
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

/// The next window of a secret's schedule. It may be open already.
pub(super) fn next_window(inner: &Inner, secret: &Secret) -> Option<Window> {
    if secret.deleted.is_some() || secret.rotation_enabled != Some(true) {
        return None;
    }
    let fired = inner.fired.get(&secret.arn).copied();
    let base = fired.map_or(secret.schedule_base, |fired| {
        fired.max(secret.schedule_base)
    });
    secret.rotation_rules.as_ref()?.next_window(base)
}

/// Records that a rotation of this secret begins now. This uses up an open or passed window.
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
    let stays = |secret: &Secret| secret.deleted.is_none_or(|end| now < end);
    inner.regions.retain(stays);
}
