//! Conditions: the known operators, and the keys that a request can have.

use std::collections::BTreeMap;

use serde_json::Value;
use wildmatch::WildMatch;

/// The keys that the services here set. If a request lacks one of them, the key is absent. A condition on any other key cannot be
/// evaluated.
const KNOWN: [&str; 28] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalType",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:TagKeys",
    "kms:CallerAccount",
    "kms:EncryptionContext:SecretARN",
    "kms:ViaService",
    "secretsmanager:AddReplicaRegions",
    "secretsmanager:BlockPublicPolicy",
    "secretsmanager:Description",
    "secretsmanager:ForceDeleteWithoutRecovery",
    "secretsmanager:ForceOverwriteReplicaSecret",
    "secretsmanager:KmsKeyId",
    "secretsmanager:ModifyRotationRules",
    "secretsmanager:Name",
    "secretsmanager:resource/AllowRotationLambdaArn",
    "secretsmanager:RotateImmediately",
    "secretsmanager:RotationLambdaARN",
    "secretsmanager:SecretId",
    "secretsmanager:SecretPrimaryRegion",
    "secretsmanager:VersionId",
    "secretsmanager:VersionStage",
    "sts:ExternalId",
    "sts:RoleSessionName",
];

/// Keys that end with the name of a tag.
const TAGS: [&str; 3] = [
    "aws:RequestTag/",
    "aws:ResourceTag/",
    "secretsmanager:ResourceTag/",
];

/// Keys whose fixed values limit an allowance for everyone to a few callers: the user guide's list, and the caller's own keys.
const OF_FEW: [&str; 6] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceVpc",
    "aws:SourceVpce",
];

/// A condition uses a key that no service here sets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the local IAM does not support the condition key {0}: write the policy without it, or add the key here"
)]
pub struct UnknownKey(String);

/// The values of the condition keys of one request.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<String, Vec<String>>);

impl Keys {
    /// Sets the values of a key. Without values it is absent.
    pub fn set<T: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = T>) {
        let values = values.into_iter().map(T::into).collect();
        self.0.insert(key.to_lowercase(), values);
    }

    fn get(&self, key: &str) -> Result<&[String], UnknownKey> {
        // keys are not case-sensitive
        let lower = key.to_lowercase();
        let known = KNOWN.iter().any(|known| known.to_lowercase() == lower)
            || TAGS
                .iter()
                .any(|tag| lower.starts_with(&tag.to_lowercase()));
        if !known {
            return Err(UnknownKey(key.to_owned()));
        }
        Ok(self.0.get(&lower).map(Vec::as_slice).unwrap_or_default())
    }
}

/// One operator on one key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    key: String,
    wanted: Vec<String>,
    compare: Compare,
    /// `…Not…`: true if none of the wanted values matches.
    negated: bool,
    set: Option<Set>,
    if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Text,
    TextIgnoringCase,
    Pattern,
    Arn,
    Null,
}

/// For keys with several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Any,
    All,
}

impl Condition {
    /// Reads one condition. The error names the part that is unknown.
    pub(super) fn new(operator: &str, key: String, wanted: &Value) -> Result<Self, String> {
        let (set, name) = match operator.split_once(':') {
            None => (None, operator),
            Some(("ForAnyValue", name)) => (Some(Set::Any), name),
            Some(("ForAllValues", name)) => (Some(Set::All), name),
            Some(_) => return Err(format!("the condition operator {operator}")),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (compare, negated) = match name {
            "StringEquals" => (Compare::Text, false),
            "StringNotEquals" => (Compare::Text, true),
            "StringEqualsIgnoreCase" | "Bool" => (Compare::TextIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Compare::TextIgnoringCase, true),
            "StringLike" => (Compare::Pattern, false),
            "StringNotLike" => (Compare::Pattern, true),
            // the two are the same (docs)
            "ArnEquals" | "ArnLike" => (Compare::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Compare::Arn, true),
            "Null" if !if_exists && set.is_none() => (Compare::Null, false),
            _ => return Err(format!("the condition operator {operator}")),
        };
        let wanted = match wanted {
            Value::Array(values) => values.iter().map(text).collect(),
            value => text(value).map(|value| vec![value]),
        };
        let wanted = wanted.ok_or_else(|| format!("a value for {key} that is not text"))?;
        if let Some(variable) = wanted.iter().find(|value| value.contains("${")) {
            return Err(format!("a policy variable, {variable}"));
        }
        Ok(Self {
            key,
            wanted,
            compare,
            negated,
            set,
            if_exists,
        })
    }

    /// Whether it limits a statement to a few callers.
    pub(super) fn is_of_few(&self) -> bool {
        let fixed = |value: &String| !value.contains(['*', '?']);
        let compares = matches!(
            self.compare,
            Compare::Text | Compare::Pattern | Compare::Arn
        );
        let may_be_absent = self.negated || self.if_exists || self.set == Some(Set::All);
        compares
            && !may_be_absent
            && OF_FEW.iter().any(|key| key.eq_ignore_ascii_case(&self.key))
            && self.wanted.iter().all(fixed)
    }

    pub(super) fn holds(&self, keys: &Keys) -> Result<bool, UnknownKey> {
        let values = keys.get(&self.key)?;
        if self.compare == Compare::Null {
            return Ok(self.matches(if values.is_empty() { "true" } else { "false" }));
        }
        let agrees = |value: &String| self.matches(value) != self.negated;
        Ok(match (self.set, values.is_empty()) {
            (_, true) if self.if_exists => true,
            // docs: an absent key matches every "not" and ForAllValues, and never ForAnyValue
            (None, true) => self.negated,
            (None | Some(Set::Any), _) => values.iter().any(agrees),
            (Some(Set::All), _) => values.iter().all(agrees),
        })
    }

    fn matches(&self, value: &str) -> bool {
        self.wanted.iter().any(|wanted| match self.compare {
            Compare::Text => wanted == value,
            Compare::TextIgnoringCase | Compare::Null => wanted.eq_ignore_ascii_case(value),
            Compare::Pattern => WildMatch::new(wanted).matches(value),
            Compare::Arn => arn_matches(wanted, value),
        })
    }
}

/// Docs: each of an ARN's six parts is matched separately: a `*` does not cross a colon, except in the last part.
fn arn_matches(pattern: &str, arn: &str) -> bool {
    let (pattern, arn): (Vec<&str>, Vec<&str>) = (
        pattern.splitn(6, ':').collect(),
        arn.splitn(6, ':').collect(),
    );
    pattern.len() == arn.len()
        && pattern
            .iter()
            .zip(&arn)
            .all(|(pattern, part)| WildMatch::new(pattern).matches(part))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}
