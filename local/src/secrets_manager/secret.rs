//! The service's state: the secrets, found by name, ARN or partial ARN.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
};

use chrono::{DateTime, TimeDelta, Utc};
use rand::{
    distr::{Alphanumeric, SampleString},
    rngs::StdRng,
};
use serde::{Deserialize, Serialize};

use super::{
    error::ServiceError,
    labels::{Promotion, Versions},
    schedule::RotationRules,
};
use crate::iam::ACCOUNT;

/// How many versions a secret keeps before unlabelled ones are purged (docs: "100 of the most recent versions").
const KEPT_VERSIONS: usize = 100;

/// A secret's value as received: text, or base64 that is not decoded here.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum SecretValue {
    String(String),
    Binary(String),
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(not shown)")
    }
}

/// A tag, as in requests and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

/// A region with a replica, or with one to come, as the primary sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) region: String,
    pub(super) kms_key_id: Option<String>,
    /// Whether it overwrites a secret of the same name.
    pub(super) overwrites: bool,
    /// The time of the request. It distinguishes this replica from an earlier one in the same region.
    pub(super) requested: DateTime<Utc>,
    pub(super) status: ReplicaStatus,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReplicaStatus {
    InProgress,
    InSync,
    /// The reason why there is no replica.
    Failed(String),
}

/// The primary of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) arn: String,
    /// The time of the primary's state that the replica shows.
    pub(super) seen: DateTime<Utc>,
}

/// When a version was created, and the day of its last read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct VersionDates {
    pub(super) created: DateTime<Utc>,
    pub(super) accessed: Option<DateTime<Utc>>,
}

/// One secret with all its versions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Secret {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) kms_key_id: Option<String>,
    /// None until the first tag. A list that was emptied stays an empty list (recorded).
    pub(super) tags: Option<Vec<Tag>>,
    /// Its resource policy, unchanged.
    pub(super) policy: Option<String>,
    /// Its replicas in other regions.
    pub(super) replicas: Vec<Replica>,
    /// Set if this secret is a replica.
    pub(super) primary: Option<Primary>,
    pub(super) versions: Versions<SecretValue>,
    pub(super) dates: BTreeMap<String, VersionDates>,
    /// None until the first configuration of rotation.
    pub(super) rotation_enabled: Option<bool>,
    pub(super) rotation_function: Option<String>,
    pub(super) rotation_rules: Option<RotationRules>,
    /// The start of the schedule: the configuration, or the last value stored by hand or by a rotation.
    pub(super) schedule_base: DateTime<Utc>,
    pub(super) created: DateTime<Utc>,
    pub(super) changed: DateTime<Utc>,
    pub(super) rotated: Option<DateTime<Utc>>,
    pub(super) accessed: Option<DateTime<Utc>>,
    pub(super) deleted: Option<DateTime<Utc>>,
}

impl Secret {
    pub(super) fn new(
        name: String,
        region: &str,
        promotion: Promotion,
        now: DateTime<Utc>,
    ) -> Self {
        let mut versions = Versions::default();
        versions.set_promotion(promotion);
        Self {
            arn: arn(region, &name),
            name,
            description: None,
            kms_key_id: None,
            tags: None,
            policy: None,
            replicas: Vec::new(),
            primary: None,
            versions,
            dates: BTreeMap::new(),
            rotation_enabled: None,
            rotation_function: None,
            rotation_rules: None,
            schedule_base: now,
            created: now,
            changed: now,
            rotated: None,
            accessed: None,
            deleted: None,
        }
    }

    /// The region of the ARN.
    pub(super) fn region(&self) -> &str {
        region_of(&self.arn).unwrap_or_default()
    }

    /// The region in which the secret can be changed.
    pub(super) fn primary_region(&self) -> &str {
        let primary = self.primary.as_ref();
        primary
            .and_then(|primary| region_of(&primary.arn))
            .unwrap_or_else(|| self.region())
    }

    /// Whether it has replicas or is one.
    pub(super) fn is_replicated(&self) -> bool {
        self.primary.is_some() || !self.replicas.is_empty()
    }

    /// Stores a value under a token, and dates the new version. Returns false if the request is a repetition.
    pub(super) fn put(
        &mut self,
        token: &str,
        value: SecretValue,
        labels: Option<&[&str]>,
        now: DateTime<Utc>,
    ) -> Result<bool, ServiceError> {
        let stored = self
            .versions
            .put(token, value, labels)
            .map_err(|error| ServiceError::labels(error, &self.arn))?;
        if stored {
            self.dates.insert(
                token.to_owned(),
                VersionDates {
                    created: now,
                    accessed: None,
                },
            );
            if self.versions.current() == Some(token) {
                self.schedule_base = now; // docs: a value stored by hand counts as a rotation for the schedule
            }
            self.purge(now);
        }
        Ok(stored)
    }

    /// Stages a token as pending. The version gets its date with the value.
    pub(super) fn stage(&mut self, token: &str, now: DateTime<Utc>) -> Result<(), ServiceError> {
        self.versions
            .stage(token)
            .map_err(|error| ServiceError::labels(error, &self.arn))?;
        self.dates.entry(token.to_owned()).or_insert(VersionDates {
            created: now,
            accessed: None,
        });
        Ok(())
    }

    /// Moves every date into the past.
    pub(super) fn set_back(&mut self, by: TimeDelta) {
        for date in [
            &mut self.schedule_base,
            &mut self.created,
            &mut self.changed,
        ] {
            *date -= by;
        }
        for date in [&mut self.rotated, &mut self.accessed, &mut self.deleted] {
            *date = date.map(|date| date - by);
        }
        for dates in self.dates.values_mut() {
            dates.created -= by;
        }
    }

    fn purge(&mut self, now: DateTime<Utc>) {
        let dates = &self.dates;
        let older_than_a_day = |id: &str| {
            dates
                .get(id)
                .is_none_or(|dates| now - dates.created > TimeDelta::hours(24))
        };
        self.versions.purge(KEPT_VERSIONS, older_than_a_day);
        self.dates.retain(|id, _| self.versions.contains(id));
    }
}

/// The service's state in a region, under one lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) region: String,
    pub(super) promotion: Promotion,
    /// The secrets in the order of their creation.
    pub(super) secrets: Vec<Secret>,
    /// Earlier states of each secret, with the end of each, for lagging reads. By ARN.
    before: HashMap<String, VecDeque<(DateTime<Utc>, Secret)>>,
}

/// How many changes are kept for each secret: enough for several rotations.
const CHANGES: usize = 64;

/// The state that an answer shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    Now,
    /// The state before the last change.
    Behind,
}

impl State {
    pub(super) fn new(region: &str, promotion: Promotion) -> Self {
        Self {
            region: region.to_owned(),
            promotion,
            secrets: Vec::new(),
            before: HashMap::new(),
        }
    }

    pub(super) fn find(&self, id: &str) -> Result<&Secret, ServiceError> {
        self.position(id).map(|position| &self.secrets[position])
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Result<&mut Secret, ServiceError> {
        self.position(id)
            .map(|position| &mut self.secrets[position])
    }

    /// Finds a secret that is not scheduled for deletion.
    pub(super) fn find_alive(&self, id: &str) -> Result<&Secret, ServiceError> {
        let secret = self.find(id)?;
        if secret.deleted.is_some() {
            Err(ServiceError::marked_for_deletion())
        } else {
            Ok(secret)
        }
    }

    /// Changes a secret completely or not at all, dates the change, and keeps the earlier state for lagging reads.
    pub(super) fn change<T>(
        &mut self,
        id: &str,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut Secret) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let secret = self.find_mut(id)?;
        let mut changed = secret.clone();
        let answer = change(&mut changed)?;
        if changed != *secret {
            changed.changed = now;
            let before = std::mem::replace(secret, changed);
            let earlier = self.before.entry(before.arn.clone()).or_default();
            if earlier.len() == CHANGES {
                earlier.pop_front();
            }
            earlier.push_back((now, before));
        }
        Ok(answer)
    }

    /// The current secret, or the earlier state for a lagging read.
    pub(super) fn seen(&self, id: &str, view: View) -> Result<&Secret, ServiceError> {
        let secret = self.find(id)?;
        self.seen_by(secret, view)
            .ok_or_else(ServiceError::no_such_secret)
    }

    /// The same for a secret that was found. None if the lagging read cannot see it yet.
    pub(super) fn seen_by<'a>(&'a self, secret: &'a Secret, view: View) -> Option<&'a Secret> {
        match view {
            View::Now => Some(secret),
            View::Behind => {
                let last = self.earlier(&secret.arn).next_back();
                last.map(|(_, secret)| secret)
            }
        }
    }

    /// The secret with this ARN as it was at that time, if it existed.
    pub(super) fn as_of(&self, arn: &str, then: DateTime<Utc>) -> Option<&Secret> {
        let secret = self.secrets.iter().find(|secret| secret.arn == arn)?;
        let earlier = self.earlier(arn).find(|(until, _)| then < *until);
        let was = earlier.map_or(secret, |(_, secret)| secret);
        (was.created <= then).then_some(was)
    }

    /// The earlier states of a secret, with the end of each.
    fn earlier(&self, arn: &str) -> impl DoubleEndedIterator<Item = &(DateTime<Utc>, Secret)> {
        self.before.get(arn).into_iter().flatten()
    }

    fn position(&self, id: &str) -> Result<usize, ServiceError> {
        // names and full ARNs are unique; this shortcut matters with thousands of secrets
        let is = |secret: &Secret| secret.arn == id || secret.name == id;
        if let Some(position) = self.secrets.iter().position(is) {
            return Ok(position);
        }
        let matches: Vec<usize> = (0..self.secrets.len())
            .filter(|&position| names(id, &self.secrets[position]))
            .collect();
        match matches[..] {
            [only] => Ok(only),
            _ => Err(ServiceError::no_such_secret()),
        }
    }
}

/// Whether a `SecretId` means this secret: its name, its ARN, or its ARN without the random suffix.
///
/// An ARN with an end like a suffix is read as a complete one. So the partial ARN of a secret whose name ends in a hyphen and six
/// characters finds nothing (docs; recorded).
fn names(id: &str, secret: &Secret) -> bool {
    if !id.starts_with("arn:") {
        return id == secret.name;
    }
    id == secret.arn || (!has_suffix(id) && secret.arn.get(..secret.arn.len() - SUFFIX) == Some(id))
}

/// The length of a hyphen and six characters.
const SUFFIX: usize = 7;

fn has_suffix(arn: &str) -> bool {
    let tail = arn
        .as_bytes()
        .get(arn.len().saturating_sub(SUFFIX)..)
        .unwrap_or_default();
    matches!(tail, [b'-', random @ ..] if random.iter().all(u8::is_ascii_alphanumeric))
}

/// A new ARN. Its six random characters distinguish a recreated secret from the old one.
pub(super) fn arn(region: &str, name: &str) -> String {
    let suffix = Alphanumeric.sample_string(&mut rand::make_rng::<StdRng>(), SUFFIX - 1);
    format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-{suffix}")
}

/// The region in an ARN.
pub(super) fn region_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(2)
}

/// The same ARN with another region, as a replica has it (docs).
pub(super) fn arn_in(region: &str, arn: &str) -> String {
    let mut parts: Vec<&str> = arn.splitn(5, ':').collect();
    if let Some(part) = parts.get_mut(3) {
        *part = region;
    }
    parts.join(":")
}

/// A time in the wire format: seconds since 1970, with milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Epoch(pub(super) DateTime<Utc>);

impl Serialize for Epoch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.timestamp_millis() as f64 / 1000.0)
    }
}
