//! A policy document, and the decision of several of them about a request.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::condition::{Condition, Keys, UnknownKey};

/// The version of the policy language that is supported here; the older one has other rules.
const VERSION: &str = "2012-10-17";
/// The version of a document without one (docs).
const OLD_VERSION: &str = "2008-10-17";

/// An identity policy, or the statements of a resource's policy for one service.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) statements: Vec<Statement>,
}

/// One call, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `secretsmanager:GetSecretValue`, for example.
    pub action: &'a str,
    /// The resource's ARN, or `*` for an action without a resource.
    pub resource: &'a str,
    /// The condition keys.
    pub keys: &'a Keys,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it, and none denies it.
    Allowed,
    /// A statement denies it, regardless of the others.
    Denied,
    /// No statement allows it.
    NotAllowed,
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum PolicyError {
    /// It is not the JSON of a policy, or has an unknown element.
    #[error("this is not an IAM policy ({0}): correct the document")]
    Unreadable(#[from] serde_json::Error),
    /// Another version of the language.
    #[error("the policy's Version is \"{0}\": write \"{VERSION}\"")]
    Version(String),
    /// Both an element and its opposite, or neither.
    #[error("the statement {sid} needs exactly one of {element} and Not{element}")]
    OneOf { sid: String, element: &'static str },
    /// A part of the language that is unknown here.
    #[error(
        "the statement {sid} has {what}, which the local IAM does not support: write it without, or add it here"
    )]
    Unknown { sid: String, what: String },
    /// A resource's policy names a principal that cannot be a caller.
    #[error(
        "the statement {sid} has the principal {principal}: name \"*\", or under AWS an account, a role or a role's session"
    )]
    Principal { sid: String, principal: String },
}

impl PolicyError {
    pub(super) fn principal(sid: &str, principal: &Value) -> Self {
        Self::Principal {
            sid: sid.to_owned(),
            principal: principal.to_string(),
        }
    }

    /// Whether only this evaluator refuses the document: AWS might accept it.
    pub(crate) fn is_ours(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Version(version) => version.is_empty() || version == OLD_VERSION,
            Self::Unreadable(_) | Self::OneOf { .. } | Self::Principal { .. } => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    version: String,
    #[serde(rename = "Id")]
    _id: Option<String>,
    #[serde(deserialize_with = "one_or_many")]
    statement: Vec<Written>,
}

/// A statement as written.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    sid: String,
    effect: Effect,
    #[serde(default, deserialize_with = "one_or_many")]
    action: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    not_action: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    resource: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    not_resource: Vec<String>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    actions: Patterns,
    resources: Patterns,
    pub(super) conditions: Vec<Condition>,
}

/// `Action` matches if one of them does, `NotAction` if none does; the same for resources.
#[derive(Clone, Debug)]
struct Patterns {
    any_of: Vec<WildMatch>,
    inverted: bool,
}

impl Policy {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// It is invalid, or contains something unknown here.
    pub fn parse(document: &Value) -> Result<Self, PolicyError> {
        let document = Document::deserialize(document)?;
        if document.version != VERSION {
            return Err(PolicyError::Version(document.version));
        }
        let statements = document.statement.into_iter().map(Statement::new);
        Ok(Self {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }
}

impl Policy {
    /// The statements of a resource's policy for this service, `secretsmanager.amazonaws.com` for example.
    ///
    /// # Errors
    ///
    /// One of them is invalid, or contains something unknown here.
    pub fn towards(service: &str, statements: &[Value]) -> Result<Self, PolicyError> {
        let about = |statement: &&Value| match &statement["Principal"] {
            Value::String(anybody) => anybody == "*",
            Value::Object(principal) => match principal.get("Service") {
                Some(Value::Array(services)) => services.iter().any(|named| named == service),
                Some(named) => named == service,
                None => false,
            },
            _ => false,
        };
        let statements: Vec<Value> = statements
            .iter()
            .filter(about)
            .cloned()
            .map(|mut statement| {
                statement
                    .as_object_mut()
                    .and_then(|statement| statement.remove("Principal"));
                statement
            })
            .collect();
        Self::parse(&json!({ "Version": VERSION, "Statement": statements }))
    }
}

impl Statement {
    fn new(written: Written) -> Result<Self, PolicyError> {
        let Written {
            sid,
            effect,
            action,
            not_action,
            resource,
            not_resource,
            condition,
        } = written;
        let unknown = |what: String| PolicyError::Unknown {
            sid: sid.clone(),
            what,
        };
        let one_of = |element| PolicyError::OneOf {
            sid: sid.clone(),
            element,
        };
        if let Some(variable) = resource
            .iter()
            .chain(&not_resource)
            .find(|r| r.contains("${"))
        {
            return Err(unknown(format!("a policy variable, {variable}")));
        }
        // actions are not case-sensitive
        let lower = |actions: Vec<String>| actions.iter().map(|a| a.to_lowercase()).collect();
        let mut conditions = Vec::new();
        for (operator, keys) in condition {
            for (key, wanted) in keys {
                conditions.push(Condition::new(&operator, key, &wanted).map_err(&unknown)?);
            }
        }
        Ok(Self {
            effect,
            actions: Patterns::new(lower(action), lower(not_action))
                .ok_or_else(|| one_of("Action"))?,
            resources: Patterns::new(resource, not_resource).ok_or_else(|| one_of("Resource"))?,
            conditions,
        })
    }

    pub(super) fn applies(&self, request: &Request<'_>) -> Result<bool, UnknownKey> {
        if !self.actions.match_with(&request.action.to_lowercase())
            || !self.resources.match_with(request.resource)
        {
            return Ok(false);
        }
        for condition in &self.conditions {
            if !condition.holds(request.keys)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Patterns {
    /// `None` unless exactly one of the two lists is given.
    fn new(any_of: Vec<String>, none_of: Vec<String>) -> Option<Self> {
        let (patterns, inverted) = match (any_of.is_empty(), none_of.is_empty()) {
            (false, true) => (any_of, false),
            (true, false) => (none_of, true),
            _ => return None,
        };
        Some(Self {
            any_of: patterns
                .iter()
                .map(|pattern| WildMatch::new(pattern))
                .collect(),
            inverted,
        })
    }

    fn match_with(&self, text: &str) -> bool {
        self.any_of.iter().any(|pattern| pattern.matches(text)) != self.inverted
    }
}

/// The combined decision of these policies.
///
/// # Errors
///
/// A statement for this action and resource has a condition on a key that is unknown here.
pub fn decide(policies: &[Policy], request: &Request<'_>) -> Result<Decision, UnknownKey> {
    let mut decision = Decision::NotAllowed;
    for statement in policies.iter().flat_map(|policy| &policy.statements) {
        if statement.applies(request)? {
            match statement.effect {
                Effect::Deny => return Ok(Decision::Denied),
                Effect::Allow => decision = Decision::Allowed,
            }
        }
    }
    Ok(decision)
}

/// IAM reads a single value as a list of one.
fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let values = match Value::deserialize(deserializer)? {
        Value::Array(values) => values,
        value => vec![value],
    };
    values
        .into_iter()
        .map(|value| serde_json::from_value(value).map_err(D::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests;
