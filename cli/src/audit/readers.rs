//! Who may read a secret by its resource policy.
//!
//! A condition may narrow a statement, and a Deny elsewhere may cancel it. So this lists the named principals, and the finding says
//! whether there is a condition.

use serde_json::{Value, json};

use super::judge::Kind;
use crate::policy::{fits, several};

/// The right to read the value. BatchGetSecretValue needs it too.
const READ: &str = "secretsmanager:getsecretvalue";

/// A principal that a policy allows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reader {
    /// The principal as the policy names it.
    principal: String,
    /// Whether the statement has a condition.
    conditional: bool,
}

/// The findings about a secret's policy. A policy that cannot be read may let everyone read the secret: that is not "no finding".
pub(super) fn found(
    policy: Option<&str>,
    account: &str,
) -> Result<Vec<(Kind, String)>, serde_json::Error> {
    let policy = policy.map_or(Ok(Value::Null), serde_json::from_str)?;
    let readers = readers(&policy).into_iter();
    Ok(readers
        .filter_map(|reader| judge(&reader, account))
        .collect())
}

/// All principals that the policy allows to read, each once.
fn readers(policy: &Value) -> Vec<Reader> {
    let mut readers = Vec::new();
    for statement in several(&policy["Statement"]) {
        if statement["Effect"] != "Allow" || !allows_reading(statement) {
            continue;
        }
        let conditional = has_condition(statement);
        for principal in principals(statement) {
            let reader = Reader {
                principal,
                conditional,
            };
            if !readers.contains(&reader) {
                readers.push(reader);
            }
        }
    }
    readers
}

/// The finding about a reader, for a secret of this account.
fn judge(reader: &Reader, account: &str) -> Option<(Kind, String)> {
    let Reader {
        principal,
        conditional,
    } = reader;
    let condition = match conditional {
        true => ", under a condition",
        false => "",
    };
    if principal == "*" {
        return Some((Kind::Public, format!("everyone may read it{condition}")));
    }
    let of = account_of(principal)?;
    let other = of != account;
    other.then(|| {
        (
            Kind::OtherAccount,
            format!("{principal} may read it{condition}"),
        )
    })
}

fn allows_reading(statement: &Value) -> bool {
    let is_read = |value: &Value| {
        let mut actions = several(value).filter_map(Value::as_str);
        actions.any(|action| fits(&action.to_lowercase(), READ))
    };
    match &statement["NotAction"] {
        Value::Null => is_read(&statement["Action"]),
        but => !is_read(but),
    }
}

/// Whether there is a condition: `{}` is an empty one, and so is an operator without a key.
fn has_condition(statement: &Value) -> bool {
    let operators = statement["Condition"].as_object();
    let mut operators = operators
        .into_iter()
        .flat_map(|operators| operators.values());
    operators.any(|keys| *keys != json!({}))
}

fn principals(statement: &Value) -> Vec<String> {
    let principal = &statement["Principal"];
    if principal.is_null() {
        // NotPrincipal: all others may read
        return vec!["*".to_owned()];
    }
    if let Some(text) = principal.as_str() {
        return vec![text.to_owned()];
    }
    let kinds = principal.as_object().into_iter().flatten();
    let names = kinds.flat_map(|(_, names)| several(names));
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The account of an account number or an ARN. None for a service.
fn account_of(principal: &str) -> Option<&str> {
    if principal.len() == 12 && principal.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(principal);
    }
    // arn:aws:iam::123456789012:role/name
    let account = principal.strip_prefix("arn:")?.split(':').nth(3)?;
    Some(account).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "123456789012";

    fn found(statement: Value) -> Vec<(&'static str, String)> {
        let policy = json!({ "Statement": statement }).to_string();
        let found = super::found(Some(&policy), OWN).unwrap().into_iter();
        found.map(|(kind, detail)| (kind.name(), detail)).collect()
    }

    #[test]
    fn an_unreadable_policy_does_not_count_as_a_policy_without_readers() {
        let deep = format!("{}{}", "[".repeat(999), "]".repeat(999));
        for policy in ["", "{", r#"{"Statement":[]} {}"#, &deep] {
            assert!(super::found(Some(policy), OWN).is_err(), "{policy}");
        }
        assert_eq!(super::found(None, OWN).unwrap(), []);
    }

    fn allow(principal: Value, action: Value) -> Value {
        json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*" })
    }

    #[test]
    fn public_access_and_other_accounts_are_found_and_the_own_account_is_not() {
        let read = || json!("secretsmanager:GetSecretValue");
        let role = "arn:aws:iam::999999999999:role/reader";
        assert_eq!(
            found(allow(json!("*"), read())),
            [("public", "everyone may read it".to_owned())]
        );
        assert_eq!(
            found(allow(
                json!({ "AWS": ["*", role] }),
                json!("secretsmanager:*")
            )),
            [
                ("public", "everyone may read it".to_owned()),
                ("other-account", format!("{role} may read it")),
            ]
        );
        assert_eq!(
            found(allow(json!({ "AWS": "999999999999" }), json!("*"))).len(),
            1
        );
        assert_eq!(
            found(allow(
                json!({ "AWS": format!("arn:aws:iam::{OWN}:root") }),
                read()
            )),
            []
        );
        assert_eq!(
            found(allow(json!({ "Service": "lambda.amazonaws.com" }), read())),
            []
        );
    }

    #[test]
    fn a_condition_is_shown_and_a_statement_that_does_not_allow_reading_is_ignored() {
        let mut narrowed = allow(json!("*"), json!(["secretsmanager:Get*"]));
        narrowed["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
        let detail = "everyone may read it, under a condition".to_owned();
        assert_eq!(found(narrowed), [("public", detail)]);
        assert_eq!(
            found(allow(json!("*"), json!("secretsmanager:DescribeSecret"))),
            []
        );
        let mut denied = allow(json!("*"), json!("*"));
        denied["Effect"] = "Deny".into();
        assert_eq!(found(denied), []);
    }

    #[test]
    fn an_empty_condition_is_no_condition() {
        let mut everyone = allow(json!("*"), json!("*"));
        everyone["Condition"] = json!({});
        let detail = "everyone may read it".to_owned();
        assert_eq!(found(everyone.clone()), [("public", detail.clone())]);
        everyone["Condition"] = json!({ "StringEquals": {} });
        assert_eq!(found(everyone), [("public", detail)]);
    }

    #[test]
    fn not_principal_and_not_action_are_read_too() {
        let but = json!({ "Effect": "Allow", "NotPrincipal": { "AWS": OWN }, "NotAction": "secretsmanager:Delete*" });
        assert_eq!(found(but).len(), 1);
    }
}
