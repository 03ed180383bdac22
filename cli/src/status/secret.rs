//! The data about a secret in status, from the list of secrets and from the function's log.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::types::SecretListEntry;
use serde::{Serialize, Serializer};

use super::judge::{self, Dates, State};
use crate::{
    log::Line,
    schedule::{self, Interval},
    secrets::{PREVIOUS, Strategy, in_flight, labelled, time},
    terminal,
};

/// The longest time between a rotation and the last change, if that change was part of the rotation.
const ROTATIONS_OWN_CHANGE: Duration = Duration::from_secs(60);

/// One secret.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) arn: String,
    #[serde(skip)]
    pub(super) function: String,
    pub(super) state: State,
    pub(super) strategy: Option<Strategy>,
    /// Since when the AWSCURRENT version is current.
    #[serde(serialize_with = "terminal::serialize_moment_or_null")]
    pub(super) current_since: Option<SystemTime>,
    #[serde(serialize_with = "interval")]
    pub(super) interval: Option<Interval>,
    #[serde(serialize_with = "terminal::serialize_moment_or_null")]
    pub(super) due: Option<SystemTime>,
    pub(super) pending: Option<String>,
    #[serde(serialize_with = "terminal::serialize_moment_or_null")]
    pub(super) pending_since: Option<SystemTime>,
    /// Until when the previous user still logs in.
    #[serde(serialize_with = "terminal::serialize_moment_or_null")]
    pub(super) overlap_until: Option<SystemTime>,
    pub(super) last_error: Option<LastError>,
    /// Fields that are null because they are unknown: not requested, or denied.
    pub(super) unknown: Unknown,
    #[serde(skip)]
    pub(super) enabled: bool,
    #[serde(skip)]
    pub(super) next: Option<SystemTime>,
    #[serde(skip)]
    pub(super) rotated: Option<SystemTime>,
    #[serde(skip)]
    pub(super) changed: Option<SystemTime>,
    #[serde(skip)]
    pub(super) has_previous: bool,
}

/// A field that may be unknown, named as in the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Field {
    CurrentSince,
    Due,
    PendingSince,
    Strategy,
    OverlapUntil,
    LastError,
}

impl Field {
    const ALL: [Self; 6] = [
        Self::CurrentSince,
        Self::Due,
        Self::PendingSince,
        Self::Strategy,
        Self::OverlapUntil,
        Self::LastError,
    ];
}

/// A set of fields in one byte, because each secret has one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unknown(u8);

impl Unknown {
    pub(super) fn insert(&mut self, field: Field) {
        self.0 |= 1 << field as u8;
    }

    pub(super) fn remove(&mut self, field: Field) {
        self.0 &= !(1 << field as u8);
    }

    fn contains(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }
}

impl FromIterator<Field> for Unknown {
    fn from_iter<Fields: IntoIterator<Item = Field>>(fields: Fields) -> Self {
        let mut unknown = Self::default();
        for field in fields {
            unknown.insert(field);
        }
        unknown
    }
}

impl Serialize for Unknown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = Field::ALL.into_iter();
        serializer.collect_seq(fields.filter(|field| self.contains(*field)))
    }
}

/// Why the last rotation failed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LastError {
    #[serde(serialize_with = "terminal::serialize_moment")]
    time: SystemTime,
    step: String,
    error_type: Option<String>,
    error: String,
}

impl LastError {
    /// The error's stable name.
    pub(super) fn kind(&self) -> &str {
        self.error_type.as_deref().unwrap_or(&self.step)
    }

    /// The function's error, and the step.
    pub(super) fn text(&self) -> String {
        format!("{}: {}", self.step, self.error)
    }
}

impl Secret {
    pub(super) fn new(entry: SecretListEntry) -> Self {
        let labels = entry.secret_versions_to_stages.unwrap_or_default();
        let rules = entry.rotation_rules.as_ref();
        let expression = rules.and_then(|rules| rules.schedule_expression());
        let days = rules.and_then(|rules| rules.automatically_after_days());
        let rotated = time(entry.last_rotated_date.as_ref());
        Self {
            name: entry.name.unwrap_or_default(),
            arn: entry.arn.unwrap_or_default(),
            function: entry.rotation_lambda_arn.unwrap_or_default(),
            state: State::Fine,
            strategy: None,
            current_since: rotated.or(time(entry.created_date.as_ref())),
            interval: Interval::read(expression, days),
            due: None,
            pending: in_flight(&labels).map(str::to_owned),
            pending_since: None,
            overlap_until: None,
            last_error: None,
            // until the values are read
            unknown: Unknown::from_iter([Field::Strategy, Field::OverlapUntil]),
            enabled: entry.rotation_enabled == Some(true),
            next: time(entry.next_rotation_date.as_ref()),
            rotated,
            changed: time(entry.last_changed_date.as_ref()),
            has_previous: labelled(&labels, PREVIOUS).is_some(),
        }
    }

    /// Whether null in this field means "none".
    pub(super) fn knows(&self, field: Field) -> bool {
        !self.unknown.contains(field)
    }

    /// Whether the list does not show since when AWSCURRENT or AWSPENDING exists: the secret was changed after its last rotation, such as
    /// by a value stored by hand, or only by a tag.
    pub(super) fn is_unclear(&self) -> bool {
        let changed_since = |moment: SystemTime| self.changed?.duration_since(moment).ok();
        self.pending.is_some()
            || self
                .current_since
                .and_then(changed_since)
                .is_some_and(|later| later > ROTATIONS_OWN_CHANGE)
    }

    pub(super) fn judge(&mut self, patience: Duration, now: SystemTime) {
        let interval = self.interval.as_ref().and_then(|interval| interval.length);
        if self.enabled {
            self.due = schedule::due(self.next, self.current_since, interval);
        }
        let dates = Dates {
            enabled: self.enabled,
            due: self.due,
            pending_since: self.pending_since,
        };
        self.state = judge::state(dates, patience, now);
    }

    /// Since when it is in its state, or when it is due.
    pub(super) fn since(&self) -> Option<SystemTime> {
        match self.state {
            State::Stuck | State::Failing | State::Rotating => self.pending_since,
            _ => self.due,
        }
    }

    /// Whether the function's log may have something about it.
    pub(super) fn is_of_interest(&self) -> bool {
        let ails = matches!(self.state, State::Stuck | State::Overdue | State::Rotating);
        ails || self.overlap_until.is_some()
    }

    /// Whether its report is complete without further calls, and short.
    pub(super) fn is_quiet(&self) -> bool {
        let calm = matches!(self.state, State::Fine | State::Off);
        calm && !self.is_unclear() && !self.is_of_interest() && self.last_error.is_none()
    }

    /// Adds a log line, if it is newer than the AWSCURRENT version.
    pub(super) fn hear(&mut self, line: Line) {
        if self.rotated.is_some_and(|rotated| line.time < rotated) {
            return;
        }
        if line.failed() {
            // still in time, but every attempt so far has failed
            if self.state == State::Rotating && self.pending.as_ref() == Some(&line.version) {
                self.state = State::Failing;
            }
            self.last_error = Some(LastError {
                time: line.time,
                error: line.message().to_owned(),
                step: line.step,
                error_type: line.error_type,
            });
        } else if line.outcome == "revoked" {
            self.overlap_until = None;
        }
    }
}

fn interval<S: Serializer>(interval: &Option<Interval>, serializer: S) -> Result<S::Ok, S::Error> {
    interval
        .as_ref()
        .map(|interval| &interval.text)
        .serialize(serializer)
}
