//! The service in each region: its own secrets, and replicas that follow their primaries.
//!
//! Before each request, every replica gets the state that its primary had before the region's delay. So a replica appears, changes
//! and disappears with that delay.
//!
//! | rule | source |
//! |---|---|
//! | A replica has its primary's name, value, labels, tags and resource policy, and its ARN with another region | docs |
//! | It has its own KMS key, of its region | docs |
//! | If its name is in use in the region, it is Failed, unless it may overwrite the secret there | docs, moto |
//! | It never overwrites a secret that is a replica or has replicas | recorded by practitioners |
//! | A removed replica disappears after a delay. If its primary is deleted first, it stays a replica forever | recorded by practitioners |
//! | It has no function and no schedule, but its own dates of creation and access | chosen here |
//! | The policy is copied unchanged: the primary's ARN in it does not match the replica | chosen here |

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    labels::Promotion,
    secret::{Primary, Replica, ReplicaStatus, Secret, State, arn_in, region_of},
};

/// All regions. The first request to a region creates it.
#[derive(Debug)]
pub(super) struct Regions {
    home: String,
    promotion: Promotion,
    states: BTreeMap<String, State>,
    lags: BTreeMap<String, TimeDelta>,
}

impl Regions {
    pub(super) fn new(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            promotion: Promotion::default(),
            states: BTreeMap::new(),
            lags: BTreeMap::new(),
        }
    }

    /// The default region.
    pub(super) fn home(&mut self) -> &mut State {
        let home = self.home.clone();
        self.at(&home)
    }

    pub(super) fn at(&mut self, region: &str) -> &mut State {
        let promotion = self.promotion;
        self.states
            .entry(region.to_owned())
            .or_insert_with(|| State::new(region, promotion))
    }

    /// The state of the region in this ARN.
    pub(super) fn of(&mut self, arn: &str) -> &mut State {
        match region_of(arn) {
            Some(region) => self.at(region),
            None => self.home(),
        }
    }

    /// The secrets of all regions.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.states.values().flat_map(|state| &state.secrets)
    }

    /// Keeps only the secrets that `stays` accepts.
    pub(super) fn retain(&mut self, stays: impl Fn(&Secret) -> bool) {
        for state in self.states.values_mut() {
            state.secrets.retain(&stays);
        }
    }

    pub(super) fn set_promotion(&mut self, promotion: Promotion) {
        self.promotion = promotion;
        for state in self.states.values_mut() {
            state.promotion = promotion;
        }
    }

    /// Sets a region's delay. An existing replica does not go back in time.
    pub(super) fn set_lag(&mut self, region: &str, lag: TimeDelta) {
        self.lags.insert(region.to_owned(), lag);
    }

    /// Brings every replica up to date.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) {
        let regions: Vec<String> = self.states.keys().cloned().collect();
        for region in regions {
            self.follow(&region, now);
        }
        self.begin(now);
    }

    /// Brings the replicas of a region up to date, and removes those that their primary has dropped.
    fn follow(&mut self, region: &str, now: DateTime<Utc>) {
        let then = self.behind(region, now);
        let Some(mut state) = self.states.remove(region) else {
            return;
        };
        state.secrets.retain_mut(|secret| {
            let Some(primary) = &secret.primary else {
                return true;
            };
            let then = then.max(primary.seen);
            let home = region_of(&primary.arn).and_then(|home| self.states.get(home));
            let Some(seen) = home.and_then(|home| home.as_of(&primary.arn, then)) else {
                return true; // its primary was deleted
            };
            let replica = seen
                .replicas
                .iter()
                .find(|replica| replica.region == region);
            let Some(replica) = replica else {
                return false; // removed
            };
            let mut next = copy(seen, replica, then, secret.created);
            next.keep_accesses(secret);
            *secret = next;
            true
        });
        self.states.insert(region.to_owned(), state);
    }

    /// Creates the replicas that are due.
    fn begin(&mut self, now: DateTime<Utc>) {
        for (arn, asked) in self.in_progress() {
            let then = self.behind(&asked.region, now);
            let seen = self.of(&arn).as_of(&arn, then);
            let Some(seen) = seen.filter(|seen| asked.is_among(&seen.replicas)) else {
                continue;
            };
            let replica = copy(seen, &asked, then, now);
            let status = admit(self.at(&asked.region), replica, asked.overwrites);
            if let Ok(primary) = self.of(&arn).find_mut(&arn) {
                let mut replicas = primary.replicas.iter_mut();
                if let Some(replica) = replicas.find(|replica| replica.region == asked.region) {
                    replica.status = status;
                }
            }
        }
    }

    /// The requested replicas that do not exist yet, each with the ARN of its primary.
    fn in_progress(&self) -> Vec<(String, Replica)> {
        let replicas = self.secrets().flat_map(|secret| {
            let of = |replica: &Replica| (secret.arn.clone(), replica.clone());
            secret.replicas.iter().map(of)
        });
        replicas
            .filter(|(_, replica)| replica.status == ReplicaStatus::InProgress)
            .collect()
    }

    /// The time of the primaries' state that a region's replicas show.
    fn behind(&self, region: &str, now: DateTime<Utc>) -> DateTime<Utc> {
        let lag = self.lags.get(region).copied().unwrap_or_default();
        now.checked_sub_signed(lag)
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

impl Replica {
    fn is_among(&self, replicas: &[Self]) -> bool {
        replicas
            .iter()
            .any(|other| (&other.region, other.requested) == (&self.region, self.requested))
    }
}

/// A replica, made from the primary's state at an earlier time.
fn copy(
    primary: &Secret,
    replica: &Replica,
    seen: DateTime<Utc>,
    created: DateTime<Utc>,
) -> Secret {
    let mut copy = Secret {
        arn: arn_in(&replica.region, &primary.arn),
        kms_key_id: replica.kms_key_id.clone(),
        replicas: Vec::new(),
        primary: Some(Primary {
            arn: primary.arn.clone(),
            seen,
        }),
        rotation_enabled: None,
        rotation_function: None,
        rotation_rules: None,
        rotated: None,
        created,
        accessed: None,
        ..primary.clone()
    };
    for dates in copy.dates.values_mut() {
        dates.accessed = None;
    }
    copy
}

impl Secret {
    /// Keeps the replica's own access dates: its reads count in its region (docs).
    fn keep_accesses(&mut self, earlier: &Self) {
        self.accessed = earlier.accessed;
        for (id, dates) in &mut self.dates {
            dates.accessed = earlier.dates.get(id).and_then(|dates| dates.accessed);
        }
    }
}

/// Adds a new replica, or returns the reason against it.
fn admit(state: &mut State, replica: Secret, overwrites: bool) -> ReplicaStatus {
    let named = |secret: &&mut Secret| secret.name == replica.name;
    let Some(present) = state.secrets.iter_mut().find(named) else {
        state.secrets.push(replica);
        return ReplicaStatus::InSync;
    };
    let (name, region) = (&replica.name, &state.region);
    if present.primary.as_ref().map(|primary| &primary.arn)
        == replica.primary.as_ref().map(|primary| &primary.arn)
    {
        return ReplicaStatus::InSync; // it was requested again
    }
    if !overwrites {
        return ReplicaStatus::Failed(format!(
            "Replication failed: Secret name {name} already exists in region {region}."
        ));
    }
    if present.is_replicated() {
        return ReplicaStatus::Failed(format!(
            "Replication failed: Secret name {name} is currently replicated to {region} with a different arn."
        ));
    }
    *present = replica;
    ReplicaStatus::InSync
}
