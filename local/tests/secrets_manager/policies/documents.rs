//! What is a policy of a secret, and what is not.

use super::*;

#[tokio::test]
async fn a_public_policy_is_refused_if_public_policies_are_blocked() {
    let world = World::with_demo().await;
    let put = |statements: &Value, block: Option<bool>| {
        let put = world.client.put_resource_policy().secret_id("demo");
        let put = put.resource_policy(document(statements.clone()));
        put.set_block_public_policy(block).send()
    };
    let everyone = || allow(json!("*"));
    for (statements, public) in [
        (json!(everyone()), true),
        (
            json!([deny(json!("*")), allow(json!({ "AWS": [ROLE, "*"] }))]),
            true,
        ),
        (
            json!(with(
                everyone(),
                json!({ "StringEquals": { "secretsmanager:VersionStage": "AWSCURRENT" } })
            )),
            true,
        ),
        (
            json!(with(
                everyone(),
                json!({ "StringNotEquals": { "aws:PrincipalAccount": "123456789012" } })
            )),
            true,
        ),
        (
            json!(with(
                everyone(),
                json!({ "StringEqualsIfExists": { "aws:PrincipalAccount": "123456789012" } })
            )),
            true,
        ),
        (
            json!(with(
                everyone(),
                json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/orders" } })
            )),
            true,
        ),
        (
            json!(with(
                everyone(),
                json!({ "ArnLike": { "AWS:PrincipalArn": ROLE } })
            )),
            false,
        ),
        (
            json!(with(
                everyone(),
                json!({ "StringEquals": { "aws:SourceVpc": ["vpc-1", "vpc-2"] } })
            )),
            false,
        ),
        (
            json!(allow(json!({ "AWS": ["210987654321", ROLE] }))),
            false,
        ),
        (json!(deny(json!("*"))), false),
    ] {
        let answer = put(&statements, Some(true)).await;
        assert_eq!(answer.is_err(), public, "{statements}");
        if public {
            let (code, message) = refused(answer);
            assert_eq!(code, "PublicPolicyException");
            let said =
                "You can't attach a resource-based policy that allows broad access to the secret.";
            assert_eq!(message, said);
        }
        // docs: it is not blocked unless that is asked for
        put(&statements, None).await.unwrap();
        world
            .service
            .call("DeleteResourcePolicy", json!({ "SecretId": "demo" }))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_document_that_is_not_a_resource_policy_is_refused_with_the_reason() {
    let world = World::with_demo().await;
    let mut misspelt = allow(json!("*"));
    misspelt["Efect"] = "Allow".into();
    let mut without = allow(json!("*"));
    without.as_object_mut().unwrap().remove("Principal");
    for (policy, said) in [
        ("no JSON".to_owned(), "syntax error"),
        ("[]".to_owned(), "syntax error"),
        (json!({ "Version": "2012-10-17" }).to_string(), "Statement"),
        (
            json!({ "Version": "2019-10-19", "Statement": [] }).to_string(),
            "2019-10-19",
        ),
        (document(json!([misspelt])), "Efect"),
        (document(json!([without])), "Principal and NotPrincipal"),
        (document(json!(["Allow"])), "syntax error"),
        (document(allow(json!("someone"))), "unsupported principal"),
        (document(allow(json!(["*"]))), "unsupported principal"),
        (
            document(allow(
                json!({ "AWS": "arn:aws:iam::123456789012:user/alice" }),
            )),
            "user/alice",
        ),
        (
            document(allow(json!({ "AWS": "arn:aws:iam::123456789012:role/*" }))),
            "role/*",
        ),
        (
            document(allow(
                json!({ "AWS": "arn:aws:sts::123456789012:assumed-role/orders" }),
            )),
            "assumed-role/orders",
        ),
        (
            document(allow(json!({ "AWS": 123_456_789_012_u64 }))),
            "123456789012",
        ),
    ] {
        let (code, message) = world.refuses(&policy).await;
        assert_eq!(code, "MalformedPolicyDocumentException", "{policy}");
        assert!(
            message.starts_with("This resource policy contains an unsupported principal: ")
                || message.starts_with("This resource policy contains a syntax error: "),
            "{message}"
        );
        assert!(message.contains(said), "{message}");
    }
}

#[tokio::test]
async fn a_feature_of_aws_that_is_missing_here_is_named_and_not_called_malformed() {
    let world = World::with_demo().await;
    let mut all_but = allow(json!("*"));
    all_but["NotPrincipal"] = json!({ "AWS": ROLE });
    all_but.as_object_mut().unwrap().remove("Principal");
    let old = |version: Value| {
        json!({ "Version": version, "Statement": [allow(json!("*"))] }).to_string()
    };
    let dated = json!({ "DateLessThan": { "aws:CurrentTime": "2030-01-01T00:00:00Z" } });
    for (policy, named) in [
        (document(json!([all_but])), "NotPrincipal"),
        (
            document(allow(
                json!({ "Federated": "cognito-identity.amazonaws.com" }),
            )),
            "Federated",
        ),
        (
            document(allow(json!({ "CanonicalUser": "79a5" }))),
            "CanonicalUser",
        ),
        (document(with(allow(json!("*")), dated)), "DateLessThan"),
        (old("2008-10-17".into()), "2008-10-17"),
        (
            json!({ "Statement": [allow(json!("*"))] }).to_string(),
            "Version",
        ),
    ] {
        let (code, message) = world.refuses(&policy).await;
        assert_eq!(code, "UnjudgedByLocalIam", "{policy}");
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn a_validation_reports_who_is_admitted_and_who_is_locked_out_and_stores_nothing() {
    let world = World::with_demo().await;
    let validate = |statements: Value| async {
        let validate = world.client.validate_resource_policy().secret_id("demo");
        let validated = validate.resource_policy(document(statements)).send().await;
        let validated = validated.unwrap();
        let errors = validated.validation_errors().iter();
        let checks: Vec<String> = errors
            .map(|error| error.check_name().unwrap().to_owned())
            .collect();
        assert_eq!(validated.policy_validation_passed(), checks.is_empty());
        checks
    };
    let mut everything = deny(json!("*"));
    everything["Action"] = "secretsmanager:*".into();
    assert!(validate(allow(json!({ "AWS": ROLE }))).await.is_empty());
    assert!(validate(deny(json!("*"))).await.is_empty());
    assert_eq!(validate(allow(json!("*"))).await, ["PublicAccess"]);
    assert_eq!(validate(everything.clone()).await, ["LockOut"]);
    let both = validate(json!([everything, allow(json!("*"))])).await;
    assert_eq!(both, ["PublicAccess", "LockOut"]);
    let get = world.client.get_resource_policy().secret_id("demo");
    assert_eq!(get.send().await.unwrap().resource_policy(), None);

    // docs: who validates has to be allowed to put it, too; and a secret need not be named
    let own = |action: Value| json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
    let both = json!([
        "secretsmanager:ValidateResourcePolicy",
        "secretsmanager:PutResourcePolicy"
    ]);
    for (action, allowed) in [
        (json!("secretsmanager:ValidateResourcePolicy"), false),
        (both, true),
    ] {
        let role = world.role("orders", own(action));
        let validate = role.validate_resource_policy();
        let validate = validate.resource_policy(document(json!(deny(json!("*")))));
        assert_eq!(validate.send().await.is_ok(), allowed);
    }
}

#[tokio::test]
async fn a_policy_sees_whether_public_policies_are_blocked() {
    let world = World::with_demo().await;
    let role = world.role(
        "orders",
        json!({
            "Effect": "Allow", "Action": "secretsmanager:PutResourcePolicy", "Resource": "*",
            "Condition": { "Bool": { "secretsmanager:BlockPublicPolicy": "true" } },
        }),
    );
    for (block, allowed) in [(Some(true), true), (Some(false), false), (None, false)] {
        let put = role.put_resource_policy().secret_id("demo");
        let put = put.resource_policy(document(json!(deny(json!({ "AWS": "210987654321" })))));
        let put = put.set_block_public_policy(block).send().await;
        assert_eq!(put.is_ok(), allowed, "{block:?}");
    }
}
