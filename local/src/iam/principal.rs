//! The principals of a statement in a resource's policy.

use serde_json::Value;

use super::{ACCOUNT, Role, policy::PolicyError};

/// A principal of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Principal {
    Everyone,
    Account(String),
    /// A role's ARN: it means all sessions of the role.
    Role(String),
    /// The ARN of one session.
    Session(String),
    /// A service of AWS, which is never a caller here.
    Service,
}

/// How a statement applies to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concern {
    Not,
    /// As a member of the account: its identity policies decide (docs).
    ByAccount,
    Itself,
}

impl Principal {
    /// Removes a statement's principals and returns them.
    pub(super) fn take_from(statement: &mut Value) -> Result<Vec<Self>, PolicyError> {
        let sid = statement["Sid"].as_str().unwrap_or_default().to_owned();
        let Some(fields) = statement.as_object_mut() else {
            return Ok(Vec::new()); // not a statement: the parser of the whole document reports it
        };
        let unknown = |what: String| PolicyError::Unknown {
            sid: sid.clone(),
            what,
        };
        if fields.contains_key("NotPrincipal") {
            return Err(unknown("the element NotPrincipal".to_owned()));
        }
        let named = match fields.remove("Principal") {
            Some(Value::String(everyone)) if everyone == "*" => return Ok(vec![Self::Everyone]),
            Some(Value::Object(named)) => named,
            Some(other) => return Err(PolicyError::principal(&sid, &other)),
            None => {
                let element = "Principal";
                return Err(PolicyError::OneOf { sid, element });
            }
        };
        let mut principals = Vec::new();
        for (kind, names) in named {
            let names = match names {
                Value::Array(names) => names,
                name => vec![name],
            };
            for name in names {
                principals.push(match kind.as_str() {
                    "AWS" => {
                        Self::of_aws(&name).ok_or_else(|| PolicyError::principal(&sid, &name))?
                    }
                    "Service" => Self::Service,
                    _ => return Err(unknown(format!("a principal of the kind {kind}"))),
                });
            }
        }
        Ok(principals)
    }

    /// Docs: everyone, an account (its number or its root's ARN), a role, or a role's session. There are no users here.
    fn of_aws(name: &Value) -> Option<Self> {
        let name = name.as_str()?;
        let is_account =
            |id: &str| id.len() == 12 && id.bytes().all(|digit| digit.is_ascii_digit());
        if name == "*" {
            return Some(Self::Everyone);
        }
        if is_account(name) {
            return Some(Self::Account(name.to_owned()));
        }
        if name.contains(['*', '?']) {
            return None; // docs: no wildcard in a principal's ARN
        }
        let parts: Vec<&str> = name.splitn(6, ':').collect();
        let ["arn", "aws", service @ ("iam" | "sts"), "", account, rest] = parts[..] else {
            return None;
        };
        let is_session =
            |rest: &str| rest.splitn(3, '/').filter(|part| !part.is_empty()).count() == 3;
        match service {
            _ if !is_account(account) => None,
            "iam" if rest == "root" => Some(Self::Account(account.to_owned())),
            "iam" if rest.starts_with("role/") => Some(Self::Role(name.to_owned())),
            "sts" if rest.starts_with("assumed-role/") && is_session(rest) => {
                Some(Self::Session(name.to_owned()))
            }
            _ => None,
        }
    }

    pub(super) fn concerns(&self, caller: &Role) -> Concern {
        let is = |arn: &str, own: String| match arn == own {
            true => Concern::Itself,
            false => Concern::Not,
        };
        match self {
            Self::Everyone => Concern::Itself,
            Self::Account(id) if id == ACCOUNT => Concern::ByAccount,
            Self::Role(arn) => is(arn, caller.arn()),
            Self::Session(arn) => is(arn, caller.session_arn()),
            Self::Account(_) | Self::Service => Concern::Not,
        }
    }
}
