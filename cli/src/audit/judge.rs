//! Judges a secret by its entry in the list: pure rules without IO or a clock.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::types::SecretListEntry;
use clap::ValueEnum;
use serde::{Serialize, Serializer};
use wildmatch::WildMatch;

use crate::{
    schedule::{self, Interval},
    secrets::time,
    terminal::{moment, span},
};

/// Secrets Manager's own key in each account. Other accounts cannot use it, and it cannot be disabled.
const OWN_KEY: &str = "alias/aws/secretsmanager";

/// A finding as a stable word for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[expect(missing_docs, reason = "the help of the command says what each means")]
pub enum Kind {
    Public,
    OtherAccount,
    Overdue,
    NoRotation,
    ReplicaOutOfStep,
    Unread,
    NoCustomerKey,
    Name,
}

impl Kind {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::OtherAccount => "other-account",
            Self::Overdue => "overdue",
            Self::NoRotation => "no-rotation",
            Self::ReplicaOutOfStep => "replica-out-of-step",
            Self::Unread => "unread",
            Self::NoCustomerKey => "no-customer-key",
            Self::Name => "name",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The rules' parameters.
pub(super) struct Rules<'a> {
    pub(super) unread_for: Duration,
    pub(super) name_patterns: &'a [String],
    /// The listed region: a replica rotates in its primary's region, not here.
    pub(super) region: &'a str,
    pub(super) now: SystemTime,
}

/// The findings of an entry of the list.
pub(super) fn judge(secret: &SecretListEntry, rules: &Rules<'_>) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    let mut add = |kind, detail: Option<String>| found.extend(detail.map(|detail| (kind, detail)));
    let is_replica = secret
        .primary_region()
        .is_some_and(|primary| primary != rules.region);
    if !is_replica {
        add(Kind::NoRotation, no_rotation(secret));
        add(Kind::Overdue, overdue(secret, rules.now));
    }
    add(Kind::Unread, unread(secret, rules));
    add(Kind::NoCustomerKey, no_customer_key(secret));
    add(Kind::Name, name(secret, rules.name_patterns));
    found
}

fn no_rotation(secret: &SecretListEntry) -> Option<String> {
    if secret.rotation_enabled() == Some(true) {
        return None;
    }
    Some(match secret.rotation_lambda_arn() {
        Some(_) => "rotation was turned off".to_owned(),
        None => "rotation was never turned on".to_owned(),
    })
}

fn overdue(secret: &SecretListEntry, now: SystemTime) -> Option<String> {
    let rules = secret.rotation_rules()?;
    let interval = Interval::read(
        rules.schedule_expression(),
        rules.automatically_after_days(),
    );
    let length = interval.and_then(|interval| interval.length);
    // a value stored by hand is younger, but only the list of versions shows it: rotatectl status reads that list
    let since = [
        time(secret.last_rotated_date()),
        time(secret.created_date()),
        time(secret.last_changed_date()),
    ];
    let since = since.into_iter().flatten().max();
    let next = time(secret.next_rotation_date());
    let due =
        schedule::due(next, since, length).filter(|_| secret.rotation_enabled() == Some(true))?;
    let late = now.duration_since(due).ok()?;
    Some(format!("it was due {} ago", span(late)))
}

fn unread(secret: &SecretListEntry, rules: &Rules<'_>) -> Option<String> {
    let read = time(secret.last_accessed_date());
    let since = read.or(time(secret.created_date()))?;
    let passed = rules.now.duration_since(since).ok()?;
    if passed < rules.unread_for {
        return None;
    }
    Some(match read {
        Some(read) => format!("last read {} ago, on {}", span(passed), &moment(read)[..10]),
        None => format!("never read since it was created {} ago", span(passed)),
    })
}

fn no_customer_key(secret: &SecretListEntry) -> Option<String> {
    match secret.kms_key_id() {
        None => Some(format!("encrypted with {OWN_KEY}")),
        Some(key) if key.ends_with(OWN_KEY) => Some(format!("encrypted with {OWN_KEY}")),
        Some(_) => None,
    }
}

fn name(secret: &SecretListEntry, patterns: &[String]) -> Option<String> {
    let name = secret.name().unwrap_or_default();
    let fits = |pattern: &String| WildMatch::new(pattern).matches(name);
    let outside = !patterns.is_empty() && !patterns.iter().any(fits);
    outside.then(|| format!("the name fits none of {}", patterns.join(", ")))
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::{
        primitives::DateTime,
        types::{RotationRulesType, builders::SecretListEntryBuilder},
    };

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn day(number: u64) -> DateTime {
        DateTime::from_secs((number * DAY).try_into().unwrap())
    }

    /// Created on day 0, read and rotated on day 95, rotates every 30 days, has a customer key; today is day 100.
    fn well_kept() -> SecretListEntryBuilder {
        SecretListEntry::builder()
            .name("orders/db")
            .kms_key_id("arn:aws:kms:eu-west-1:123456789012:key/1")
            .created_date(day(0))
            .last_accessed_date(day(95))
            .last_rotated_date(day(95))
            .next_rotation_date(day(125))
            .rotation_enabled(true)
            .rotation_rules(
                RotationRulesType::builder()
                    .automatically_after_days(30)
                    .build(),
            )
    }

    fn found(secret: SecretListEntryBuilder) -> Vec<&'static str> {
        let rules = Rules {
            unread_for: Duration::from_secs(90 * DAY),
            name_patterns: &["orders/*".to_owned(), "stock/*".to_owned()],
            region: "eu-west-1",
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(100 * DAY),
        };
        let found = judge(&secret.build(), &rules).into_iter();
        found.map(|(kind, _)| kind.name()).collect()
    }

    #[test]
    fn a_secret_that_is_kept_well_has_no_finding() {
        assert!(found(well_kept()).is_empty());
    }

    #[test]
    fn each_rule_finds_its_own_fault_and_no_other() {
        let of = |secret| found(secret);
        assert_eq!(of(well_kept().rotation_enabled(false)), ["no-rotation"]);
        assert_eq!(of(well_kept().set_rotation_enabled(None)), ["no-rotation"]);
        assert_eq!(of(well_kept().next_rotation_date(day(99))), ["overdue"]);
        assert_eq!(of(well_kept().last_accessed_date(day(10))), ["unread"]);
        assert_eq!(of(well_kept().set_last_accessed_date(None)), ["unread"]);
        assert_eq!(of(well_kept().set_kms_key_id(None)), ["no-customer-key"]);
        assert_eq!(of(well_kept().kms_key_id(OWN_KEY)), ["no-customer-key"]);
        assert_eq!(of(well_kept().name("payments/db")), ["name"]);
    }

    #[test]
    fn a_new_secret_does_not_count_as_unread() {
        let lately = well_kept()
            .set_last_accessed_date(None)
            .created_date(day(20));
        assert!(found(lately).is_empty());
    }

    #[test]
    fn a_replica_needs_no_rotation_because_its_primary_rotates() {
        let replica = well_kept()
            .primary_region("us-east-1")
            .set_rotation_enabled(None);
        assert!(found(replica).is_empty());
        let primary = well_kept()
            .primary_region("eu-west-1")
            .rotation_enabled(false);
        assert_eq!(found(primary), ["no-rotation"]);
    }
}
