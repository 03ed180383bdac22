use super::*;

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders-AbCdEf";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:rotate";

/// GetSecretValue of a secret that `FUNCTION` rotates.
fn keys() -> Keys {
    let mut keys = Keys::default();
    keys.set("secretsmanager:resource/AllowRotationLambdaArn", [FUNCTION]);
    keys.set("secretsmanager:VersionStage", ["AWSCURRENT"]);
    keys.set("secretsmanager:RotateImmediately", ["true"]);
    keys.set("aws:TagKeys", ["team", "stage"]);
    keys.set("aws:ResourceTag/team", ["orders"]);
    keys
}

fn decided(statements: Value) -> Result<Decision, UnknownKey> {
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    let request = Request {
        action: "secretsmanager:GetSecretValue",
        resource: SECRET,
        keys: &keys(),
    };
    decide(&[Policy::parse(&document).unwrap()], &request)
}

fn refused(document: Value) -> String {
    Policy::parse(&document).unwrap_err().to_string()
}

#[test]
fn a_request_that_no_statement_allows_is_not_allowed() {
    assert_eq!(decided(json!([])), Ok(Decision::NotAllowed));
}

#[test]
fn actions_match_with_wildcards_and_in_any_case() {
    for (action, allowed) in [
        (json!("secretsmanager:GetSecretValue"), true),
        (
            json!(["kms:Decrypt", "SecretsManager:getsecretvalue"]),
            true,
        ),
        (json!("secretsmanager:Get*"), true),
        (json!("secretsmanager:GetSecretValu?"), true),
        (json!("*"), true),
        (json!("secretsmanager:Get"), false),
        (json!("secretsmanager:GetSecretValue?"), false),
        (json!("lambda:*"), false),
    ] {
        let decision = decided(json!({ "Effect": "Allow", "Action": action, "Resource": "*" }));
        assert_eq!(decision == Ok(Decision::Allowed), allowed, "{action}");
    }
}

#[test]
fn resources_match_with_wildcards_and_in_their_case() {
    for (resource, allowed) in [
        (SECRET, true),
        ("*", true),
        (
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/*",
            true,
        ),
        (
            "arn:aws:secretsmanager:*:123456789012:secret:demo/orders-??????",
            true,
        ),
        (
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/orders-?????",
            false,
        ),
        (
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:Demo/*",
            false,
        ),
        (
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:demo/*",
            false,
        ),
        (
            "arn:aws:secretsmanager:us-east-1:210987654321:secret:demo/*",
            false,
        ),
    ] {
        let decision = decided(json!({ "Effect": "Allow", "Action": "*", "Resource": [resource] }));
        assert_eq!(decision == Ok(Decision::Allowed), allowed, "{resource}");
    }
}

#[test]
fn not_action_and_not_resource_are_everything_else() {
    for (statement, allowed) in [
        (
            json!({ "Effect": "Allow", "NotAction": "kms:*", "Resource": "*" }),
            true,
        ),
        (
            json!({ "Effect": "Allow", "NotAction": "secretsmanager:*", "Resource": "*" }),
            false,
        ),
        (
            json!({ "Effect": "Allow", "Action": "*", "NotResource": [FUNCTION] }),
            true,
        ),
        (
            json!({ "Effect": "Allow", "Action": "*", "NotResource": [FUNCTION, SECRET] }),
            false,
        ),
    ] {
        assert_eq!(
            decided(statement.clone()) == Ok(Decision::Allowed),
            allowed,
            "{statement}"
        );
    }
}

#[test]
fn a_deny_wins_in_every_position() {
    let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    let deny = json!({ "Effect": "Deny", "Action": "secretsmanager:Get*", "Resource": "*" });
    assert_eq!(decided(json!([allow, deny])), Ok(Decision::Denied));
    assert_eq!(decided(json!([deny, allow])), Ok(Decision::Denied));
    let elsewhere = json!({ "Effect": "Deny", "Action": "kms:*", "Resource": "*" });
    assert_eq!(decided(json!([elsewhere, allow])), Ok(Decision::Allowed));
}

#[test]
fn each_condition_operator_has_iams_meaning() {
    let function = "secretsmanager:resource/AllowRotationLambdaArn";
    let stage = "secretsmanager:VersionStage";
    let absent = "secretsmanager:VersionId";
    let others = "arn:aws:lambda:*:123456789012:function:other";
    for (operator, key, wanted, holds) in [
        ("StringEquals", function, json!(FUNCTION), true),
        (
            "StringEquals",
            "SECRETSMANAGER:versionstage",
            json!("AWSCURRENT"),
            true,
        ),
        (
            "StringEquals",
            stage,
            json!(["AWSPENDING", "AWSCURRENT"]),
            true,
        ),
        ("StringEquals", stage, json!("awscurrent"), false),
        ("StringEquals", stage, json!("AWS*"), false),
        ("StringEquals", absent, json!("x"), false),
        ("StringEqualsIfExists", absent, json!("x"), true),
        ("StringEqualsIfExists", stage, json!("AWSPENDING"), false),
        ("StringNotEquals", stage, json!("AWSPENDING"), true),
        (
            "StringNotEquals",
            stage,
            json!(["AWSPENDING", "AWSCURRENT"]),
            false,
        ),
        ("StringNotEquals", absent, json!("x"), true),
        ("StringEqualsIgnoreCase", stage, json!("awscurrent"), true),
        (
            "StringNotEqualsIgnoreCase",
            stage,
            json!("awscurrent"),
            false,
        ),
        ("StringLike", stage, json!("AWS*"), true),
        ("StringLike", stage, json!("AWS"), false),
        ("StringNotLike", stage, json!("AWS*"), false),
        (
            "ArnEquals",
            function,
            json!("arn:aws:lambda:*:123456789012:function:rotate"),
            true,
        ),
        (
            "ArnLike",
            function,
            json!("arn:aws:lambda:us-east-1:*:function:*"),
            true,
        ),
        ("ArnLike", function, json!("arn:aws:*"), false),
        ("ArnNotLike", function, json!(others), true),
        ("ArnNotEquals", function, json!(FUNCTION), false),
        (
            "Bool",
            "secretsmanager:RotateImmediately",
            json!(true),
            true,
        ),
        (
            "Bool",
            "secretsmanager:RotateImmediately",
            json!("True"),
            true,
        ),
        (
            "Bool",
            "secretsmanager:RotateImmediately",
            json!("false"),
            false,
        ),
        ("Null", absent, json!("true"), true),
        ("Null", absent, json!(false), false),
        ("Null", stage, json!("false"), true),
        (
            "ForAnyValue:StringEquals",
            "aws:TagKeys",
            json!(["team", "other"]),
            true,
        ),
        (
            "ForAnyValue:StringEquals",
            "aws:TagKeys",
            json!("other"),
            false,
        ),
        ("ForAnyValue:StringEquals", absent, json!("x"), false),
        (
            "ForAnyValue:StringNotEquals",
            "aws:TagKeys",
            json!("team"),
            true,
        ),
        (
            "ForAllValues:StringLike",
            "aws:TagKeys",
            json!(["t*", "s*"]),
            true,
        ),
        ("ForAllValues:StringLike", "aws:TagKeys", json!("t*"), false),
        ("ForAllValues:StringEquals", absent, json!("x"), true),
        (
            "StringEquals",
            "aws:ResourceTag/team",
            json!("orders"),
            true,
        ),
        (
            "StringEquals",
            "aws:ResourceTag/owner",
            json!("orders"),
            false,
        ),
    ] {
        let decision = decided(json!({
            "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": { operator: { key: wanted } },
        }));
        assert_eq!(
            decision == Ok(Decision::Allowed),
            holds,
            "{operator} {key} {wanted}"
        );
    }
}

#[test]
fn all_conditions_of_a_statement_must_hold() {
    for (stage, team, allowed) in [
        ("AWSCURRENT", "orders", true),
        ("AWSCURRENT", "stock", false),
        ("AWSPENDING", "orders", false),
    ] {
        let decision = decided(json!({
            "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {
                "StringEquals": { "secretsmanager:VersionStage": stage },
                "StringLike": { "aws:ResourceTag/team": team },
            },
        }));
        assert_eq!(decision == Ok(Decision::Allowed), allowed, "{stage} {team}");
    }
}

#[test]
fn an_unknown_key_is_an_error_that_names_it_if_the_statement_applies() {
    let statement = |action| {
        json!({
            "Effect": "Allow", "Action": action, "Resource": "*",
            "Condition": { "StringNotEquals": { "aws:SourceVpce": "vpce-1" } },
        })
    };
    let error = decided(statement("secretsmanager:*")).unwrap_err();
    assert!(error.to_string().contains("aws:SourceVpce"), "{error}");
    assert_eq!(decided(statement("ec2:*")), Ok(Decision::NotAllowed));
}

#[test]
fn an_unknown_part_of_the_language_is_refused_by_its_name() {
    let with = |element: &str, value: Value| {
        let mut statement =
            json!({ "Sid": "One", "Effect": "Allow", "Action": "*", "Resource": "*" });
        statement[element] = value;
        refused(json!({ "Version": "2012-10-17", "Statement": [statement] }))
    };
    for (element, value, named) in [
        (
            "Condition",
            json!({ "NumericLessThan": { "aws:TagKeys": 1 } }),
            "NumericLessThan",
        ),
        (
            "Condition",
            json!({ "ForSome:StringLike": { "aws:TagKeys": "x" } }),
            "ForSome:",
        ),
        (
            "Condition",
            json!({ "NullIfExists": { "aws:TagKeys": "true" } }),
            "NullIfExists",
        ),
        (
            "Condition",
            json!({ "StringLike": { "aws:TagKeys": "${aws:username}" } }),
            "${aws:username}",
        ),
        (
            "Condition",
            json!({ "StringLike": { "aws:TagKeys": {} } }),
            "aws:TagKeys",
        ),
        (
            "Resource",
            json!("arn:aws:s3:::${aws:username}"),
            "${aws:username}",
        ),
        ("Conditions", json!({}), "Conditions"),
        ("Effect", json!("allow"), "allow"),
    ] {
        let message = with(element, value);
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn a_statement_needs_one_of_an_element_and_its_opposite() {
    for (statement, element) in [
        (json!({ "Effect": "Allow", "Resource": "*" }), "Action"),
        (json!({ "Effect": "Allow", "Action": "*" }), "Resource"),
        (
            json!({ "Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*" }),
            "Action",
        ),
    ] {
        let message = refused(json!({ "Version": "2012-10-17", "Statement": statement }));
        assert!(message.contains(&format!("Not{element}")), "{message}");
    }
}

#[test]
fn only_the_statements_for_the_service_count_in_a_resources_policy() {
    for (principal, allowed) in [
        (json!({ "Service": "secretsmanager.amazonaws.com" }), true),
        (
            json!({ "Service": ["events.amazonaws.com", "secretsmanager.amazonaws.com"] }),
            true,
        ),
        (json!("*"), true),
        (json!({ "Service": "events.amazonaws.com" }), false),
        (json!({ "AWS": "*" }), false),
        (Value::Null, false),
    ] {
        let statement = json!({
            "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
        });
        let policy = Policy::towards("secretsmanager.amazonaws.com", &[statement]).unwrap();
        let request = Request {
            action: "lambda:InvokeFunction",
            resource: FUNCTION,
            keys: &keys(),
        };
        let decision = decide(&[policy], &request);
        assert_eq!(decision == Ok(Decision::Allowed), allowed, "{principal}");
    }
    let wrong = json!({ "Principal": "*", "Efect": "Allow" });
    let error = Policy::towards("any", &[wrong]).unwrap_err();
    assert!(error.to_string().contains("Efect"), "{error}");
}

#[test]
fn another_version_of_the_language_is_refused() {
    let message = refused(json!({ "Version": "2008-10-17", "Statement": [] }));
    assert!(message.contains("2008-10-17"), "{message}");
}
