//! Reads policies, and checks whether a function's policy lets Secrets Manager invoke it for a secret.

use aws_sdk_lambda::Client;
use serde_json::Value;
use wildmatch::WildMatch;

use crate::{
    aws::{self, explain},
    shell::{Command, Shell},
};

const SERVICE: &str = "secretsmanager.amazonaws.com";
const ACTION: &str = "lambda:InvokeFunction";

/// What a policy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admits {
    /// It allows secrets of this account, or only this secret.
    Conditionally,
    /// It allows secrets of any account.
    Anybody,
    /// Unknown: a statement has a condition that is not supported here.
    Perhaps,
    /// No statement allows it.
    Nobody,
}

/// A function's policy; null if it has none.
///
/// # Errors
///
/// The policy cannot be read.
pub(crate) async fn of(client: &Client, function: &str) -> Result<Value, aws::Error> {
    match client.get_policy().function_name(function).send().await {
        Ok(answer) => {
            Ok(serde_json::from_str(answer.policy().unwrap_or_default()).unwrap_or_default())
        }
        Err(error) => match explain("lambda:GetPolicy", error) {
            // there is no policy
            aws::Error::Absent { .. } => Ok(Value::Null),
            error => Err(error),
        },
    }
}

/// The command that allows Secrets Manager of one account to invoke a function.
pub(crate) fn allow(shell: &Shell, function: &str, account: &str) -> Command {
    let id = ["--statement-id", "rotation-by-secrets-manager"];
    let whom = ["--principal", SERVICE, "--source-account", account];
    let what = ["--function-name", function, "--action", ACTION];
    shell.aws(&[&["lambda", "add-permission"], &what[..], &id, &whom].concat())
}

/// The result of all statements: the one that allows most decides.
pub(crate) fn admits(policy: &Value, secret_arn: &str) -> Admits {
    let statements = several(&policy["Statement"]).filter(|statement| {
        statement["Effect"] == "Allow"
            && is_for_the_service(&statement["Principal"])
            && several(&statement["Action"])
                .filter_map(Value::as_str)
                .any(|action| fits(&action.to_lowercase(), &ACTION.to_lowercase()))
    });
    let mut admits = Admits::Nobody;
    for statement in statements {
        match (conditions(&statement["Condition"], secret_arn), admits) {
            (Admits::Conditionally, _) => return Admits::Conditionally,
            (Admits::Nobody, _) | (Admits::Perhaps, Admits::Anybody) => {}
            (better, _) => admits = better,
        }
    }
    admits
}

fn is_for_the_service(principal: &Value) -> bool {
    *principal == "*" || several(&principal["Service"]).any(|service| service == SERVICE)
}

/// All conditions of a statement must match. A condition matches if one of its values does.
fn conditions(condition: &Value, secret_arn: &str) -> Admits {
    let account = secret_arn.split(':').nth(4).unwrap_or_default();
    let mut admits = Admits::Anybody;
    let operators = condition.as_object().into_iter().flatten();
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let value = match key.to_lowercase().as_str() {
                "aws:sourceaccount" => account,
                "aws:sourcearn" => secret_arn,
                _ => return Admits::Perhaps,
            };
            let patterns = matches!(operator.as_str(), "StringLike" | "ArnLike" | "ArnEquals");
            if !patterns && operator != "StringEquals" {
                return Admits::Perhaps;
            }
            let mut values = several(values).filter_map(Value::as_str);
            if !values.any(|wanted| wanted == value || (patterns && fits(wanted, value))) {
                return Admits::Nobody;
            }
            admits = Admits::Conditionally;
        }
    }
    admits
}

/// The items of a list. IAM writes a single item without a list.
pub(crate) fn several(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter()
}

/// Whether a text matches a pattern with IAM's wildcards: `*` for any text, `?` for one character.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    WildMatch::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/db-AbCdEf";

    fn of(condition: Value) -> Admits {
        let statement = json!({
            "Effect": "Allow", "Principal": { "Service": SERVICE }, "Action": ACTION, "Condition": condition,
        });
        admits(&json!({ "Statement": [statement] }), SECRET)
    }

    #[test]
    fn a_condition_on_account_or_secret_must_name_this_account_or_secret() {
        let like = |arn| json!({ "ArnLike": { "aws:SourceArn": arn } });
        for (condition, expected) in [
            (json!(null), Admits::Anybody),
            (
                json!({ "StringEquals": { "AWS:SourceAccount": "123456789012" } }),
                Admits::Conditionally,
            ),
            (
                json!({ "StringEquals": { "AWS:SourceAccount": ["1", "123456789012"] } }),
                Admits::Conditionally,
            ),
            (
                json!({ "StringEquals": { "AWS:SourceAccount": "999999999999" } }),
                Admits::Nobody,
            ),
            (like(SECRET), Admits::Conditionally),
            (
                like("arn:aws:secretsmanager:*:123456789012:secret:orders/*"),
                Admits::Conditionally,
            ),
            (
                like("arn:aws:secretsmanager:*:123456789012:secret:stock/*"),
                Admits::Nobody,
            ),
            (
                like("arn:aws:secretsmanager:*:123456789012:secret:orders/db-??????"),
                Admits::Conditionally,
            ),
            (
                json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } }),
                Admits::Perhaps,
            ),
            (
                json!({ "StringNotEquals": { "aws:SourceAccount": "1" } }),
                Admits::Perhaps,
            ),
        ] {
            assert_eq!(of(condition.clone()), expected, "{condition}");
        }
    }

    #[test]
    fn only_an_allowing_statement_for_the_service_and_the_action_counts() {
        let statement = |effect, principal: Value, action: Value| {
            let one = json!({ "Effect": effect, "Principal": principal, "Action": action });
            admits(&json!({ "Statement": one }), SECRET)
        };
        let service = || json!({ "Service": ["lambda.amazonaws.com", SERVICE] });
        assert_eq!(
            statement("Allow", service(), json!([ACTION])),
            Admits::Anybody
        );
        assert_eq!(
            statement("Allow", json!("*"), json!("lambda:*")),
            Admits::Anybody
        );
        assert_eq!(statement("Deny", service(), json!(ACTION)), Admits::Nobody);
        assert_eq!(
            statement("Allow", service(), json!("lambda:GetPolicy")),
            Admits::Nobody
        );
        let another = json!({ "Service": "events.amazonaws.com" });
        assert_eq!(statement("Allow", another, json!(ACTION)), Admits::Nobody);
        assert_eq!(admits(&json!({}), SECRET), Admits::Nobody);
    }
}
