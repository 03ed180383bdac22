//! A secret's own policy: how it comes and goes, and what it allows and denies beside the policies of roles.

mod documents;

use std::time::Duration;

use aws_sdk_secretsmanager::{Client, error::SdkError, types::ReplicaRegionType};
use serde_json::{Value, json};

use super::{REGION, World, common::refused, serve_without_function};

const THERE: &str = "eu-west-1";
const ROLE: &str = "arn:aws:iam::123456789012:role/orders";

fn document(statements: Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn allow(principal: Value) -> Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*" })
}

fn deny(principal: Value) -> Value {
    json!({ "Effect": "Deny", "Principal": principal, "Action": "secretsmanager:GetSecretValue", "Resource": "*" })
}

fn with(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

impl World {
    async fn with_demo() -> Self {
        let world = serve_without_function().await;
        world.create("demo", "one").await;
        world
    }

    /// Gives `demo` a policy of these statements.
    async fn set_policy(&self, statements: Value) {
        let put = self.client.put_resource_policy().secret_id("demo");
        let put = put.resource_policy(document(statements));
        put.send().await.unwrap();
    }

    /// The code and the message of the error that a policy for `demo` is refused with.
    async fn refuses(&self, policy: &str) -> (String, String) {
        let put = self.client.put_resource_policy().secret_id("demo");
        refused(put.resource_policy(policy).send().await)
    }

    /// A client of a role with these statements in a policy of its own.
    fn role(&self, name: &str, statements: Value) -> Client {
        let key = format!("AKIA{name}");
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        self.service.iam().restrict(&key, name, &[policy]).unwrap();
        self.client_as(&key, REGION)
    }
}

/// Whether `demo` can be read; what else but a denial comes of it is a failure.
async fn may_read(client: &Client) -> bool {
    let read = client.get_secret_value().secret_id("demo").send().await;
    match read {
        Ok(_) => true,
        Err(error @ SdkError::ServiceError(_)) => {
            assert_eq!(refused::<(), _>(Err(error)).0, "AccessDeniedException");
            false
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_policy_is_returned_as_it_was_written_until_it_is_deleted() {
    let world = World::with_demo().await;
    let get = || world.client.get_resource_policy().secret_id("demo").send();
    let arn = world.service.arn("demo").unwrap();
    let none = get().await.unwrap();
    assert_eq!(
        (none.arn(), none.name()),
        (Some(arn.as_str()), Some("demo"))
    );
    assert_eq!(none.resource_policy(), None);

    for who in ["*", "123456789012"] {
        let written = format!("{}\n", document(json!([deny(json!({ "AWS": who }))])));
        let put = world.client.put_resource_policy().secret_id("demo");
        let put = put.resource_policy(&written).send().await.unwrap();
        assert_eq!(put.arn(), Some(arn.as_str()));
        let found = get().await.unwrap();
        assert_eq!(found.resource_policy(), Some(written.as_str()));
    }
    let delete = world.client.delete_resource_policy().secret_id("demo");
    let deleted = delete.send().await.unwrap();
    assert_eq!(deleted.name(), Some("demo"));
    assert_eq!(get().await.unwrap().resource_policy(), None);
    assert!(may_read(&world.client).await);

    let absent = world.client.get_resource_policy().secret_id("absent");
    let (code, _) = refused(absent.send().await);
    assert_eq!(code, "ResourceNotFoundException");
}

/// The statement of the project's deletion guard.
#[tokio::test]
async fn a_deny_for_everyone_applies_to_the_accounts_own_key_too() {
    let world = World::with_demo().await;
    let guard = json!([{
        "Sid": "NobodyDeletesTheSecret", "Effect": "Deny", "Principal": "*",
        "Action": "secretsmanager:DeleteSecret", "Resource": "*",
    }]);
    let put = world.client.put_resource_policy().secret_id("demo");
    let put = put
        .resource_policy(document(guard))
        .block_public_policy(true);
    put.send().await.unwrap();
    let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    let role = world.role("orders", everything);
    let arn = world.service.arn("demo").unwrap();
    for (client, caller) in [
        (&world.client, "arn:aws:iam::123456789012:root"),
        (&role, "arn:aws:sts::123456789012:assumed-role/orders/local"),
    ] {
        for force in [true, false] {
            let delete = client.delete_secret().secret_id("demo");
            let delete = delete.set_force_delete_without_recovery(force.then_some(true));
            let (code, message) = refused(delete.send().await);
            assert_eq!(code, "AccessDeniedException");
            let said = format!(
                "User: {caller} is not authorized to perform: secretsmanager:DeleteSecret on resource: {arn} with an \
                 explicit deny in a resource-based policy"
            );
            assert_eq!(message, said);
        }
        assert!(may_read(client).await);
    }
    world.put("two").send().await.unwrap();
    let delete = world.client.delete_resource_policy().secret_id("demo");
    delete.send().await.unwrap();
    let delete = world.client.delete_secret().secret_id("demo");
    delete.send().await.unwrap();
}

#[tokio::test]
async fn a_role_named_by_the_policy_needs_no_policy_of_its_own_and_a_role_of_a_named_account_does()
{
    let world = World::with_demo().await;
    let own =
        json!({ "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*" });
    for (principal, directly) in [
        (json!({ "AWS": ROLE }), true),
        (
            json!({ "AWS": "arn:aws:sts::123456789012:assumed-role/orders/local" }),
            true,
        ),
        (json!({ "AWS": "*" }), true),
        (json!("*"), true),
        (
            json!({ "AWS": ["210987654321", ROLE], "Service": "lambda.amazonaws.com" }),
            true,
        ),
        (json!({ "AWS": "123456789012" }), false),
        (json!({ "AWS": "arn:aws:iam::123456789012:root" }), false),
        (json!({ "AWS": "210987654321" }), false),
        (
            json!({ "AWS": "arn:aws:iam::210987654321:role/orders" }),
            false,
        ),
        (
            json!({ "AWS": "arn:aws:iam::123456789012:role/stock" }),
            false,
        ),
        (
            json!({ "AWS": "arn:aws:sts::123456789012:assumed-role/orders/another" }),
            false,
        ),
        (json!({ "Service": "secretsmanager.amazonaws.com" }), false),
    ] {
        world.set_policy(json!(allow(principal.clone()))).await;
        let without = world.role("orders", json!([]));
        assert_eq!(may_read(&without).await, directly, "{principal}");
        assert!(
            may_read(&world.role("orders", own.clone())).await,
            "{principal}"
        );
    }
    // what is not allowed by the policy is not, and a denial of the role's own policy has its own text
    world.set_policy(json!(allow(json!({ "AWS": ROLE })))).await;
    let role = world.role("orders", json!([]));
    let describe = role.describe_secret().secret_id("demo");
    let (_, message) = refused(describe.send().await);
    let told = "because no identity-based policy allows the secretsmanager:DescribeSecret action";
    assert!(message.ends_with(told), "{message}");
}

#[tokio::test]
async fn a_deny_wins_in_any_policy() {
    let world = World::with_demo().await;
    let own =
        |effect: &str| json!({ "Effect": effect, "Action": "secretsmanager:*", "Resource": "*" });
    world
        .set_policy(json!([allow(json!({ "AWS": ROLE }))]))
        .await;
    assert!(!may_read(&world.role("orders", own("Deny"))).await);
    for principal in [
        json!("*"),
        json!({ "AWS": ROLE }),
        json!({ "AWS": "123456789012" }),
        json!({ "AWS": ["arn:aws:iam::123456789012:root"] }),
    ] {
        world
            .set_policy(json!([
                deny(principal.clone()),
                allow(json!({ "AWS": ROLE }))
            ]))
            .await;
        assert!(
            !may_read(&world.role("orders", own("Allow"))).await,
            "{principal}"
        );
    }
    for other in ["arn:aws:iam::123456789012:role/stock", "210987654321"] {
        world.set_policy(json!(deny(json!({ "AWS": other })))).await;
        assert!(
            may_read(&world.role("orders", own("Allow"))).await,
            "{other}"
        );
        assert!(may_read(&world.client).await, "{other}");
    }
}

#[tokio::test]
async fn a_condition_sees_the_caller() {
    let world = World::with_demo().await;
    let all = json!({ "Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*" });
    let (orders, stock) = (world.role("orders", all.clone()), world.role("stock", all));
    let others = json!({ "ArnNotEquals": { "aws:PrincipalArn": ROLE } });
    world
        .set_policy(json!(with(deny(json!("*")), others)))
        .await;
    assert!(may_read(&orders).await);
    assert!(!may_read(&stock).await);
    assert!(!may_read(&world.client).await);

    let (none, account) = (world.role("none", json!([])), "aws:PrincipalAccount");
    for (id, allowed) in [("123456789012", true), ("210987654321", false)] {
        let of = json!({ "StringEquals": { account: id, "aws:PrincipalType": "AssumedRole" } });
        world.set_policy(json!(with(allow(json!("*")), of))).await;
        assert_eq!(may_read(&none).await, allowed, "{id}");
    }
    // and the resource is the secret, by its ARN too
    let mut statement = allow(json!({ "AWS": "arn:aws:iam::123456789012:role/none" }));
    for (resource, allowed) in [
        (world.service.arn("demo").unwrap(), true),
        (
            "arn:aws:secretsmanager:*:*:secret:another-*".to_owned(),
            false,
        ),
    ] {
        statement["Resource"] = resource.as_str().into();
        world.set_policy(statement.clone()).await;
        assert_eq!(may_read(&none).await, allowed, "{resource}");
    }
}

#[tokio::test]
async fn a_secrets_policy_with_an_unknown_condition_key_neither_allows_nor_denies() {
    let world = World::with_demo().await;
    let from = json!({ "StringNotEquals": { "aws:SourceVpc": "vpc-1" } });
    world.set_policy(json!(with(deny(json!("*")), from))).await;
    let read = world.client.get_secret_value().secret_id("demo");
    let (code, message) = refused(read.send().await);
    assert_eq!(code, "UnjudgedByLocalIam");
    assert!(message.contains("aws:SourceVpc"), "{message}");
    // operations that it does not name still work
    let describe = world.client.describe_secret().secret_id("demo");
    describe.send().await.unwrap();
}

#[tokio::test]
async fn a_batch_reports_which_secrets_policy_denies() {
    let world = World::with_demo().await;
    world.create("open", "two").await;
    world.set_policy(json!(deny(json!("*")))).await;
    let batch = world.client.batch_get_secret_value();
    let batch = batch.secret_id_list("demo").secret_id_list("open");
    let answer = batch.send().await.unwrap();
    assert_eq!(answer.secret_values().len(), 1);
    let error = &answer.errors()[0];
    assert_eq!(error.error_code(), Some("AccessDeniedException"));
    let told = error.message().unwrap();
    assert!(
        told.ends_with("explicit deny in a resource-based policy"),
        "{told}"
    );
}

#[tokio::test]
async fn a_replica_has_its_primarys_policy_after_the_usual_lag() {
    let world = World::with_demo().await;
    world.set_policy(json!(deny(json!("*")))).await;
    let to = ReplicaRegionType::builder().region(THERE).build();
    let replicate = world.client.replicate_secret_to_regions().secret_id("demo");
    replicate.add_replica_regions(to).send().await.unwrap();
    let there = world.client_in(THERE);
    assert!(!may_read(&there).await);
    let get = there.get_resource_policy().secret_id("demo").send().await;
    let policy = get.unwrap().resource_policy.unwrap();
    assert_eq!(policy, document(json!(deny(json!("*")))));

    world
        .service
        .set_replica_lag(THERE, Duration::from_secs(3600));
    let delete = world.client.delete_resource_policy().secret_id("demo");
    delete.send().await.unwrap();
    assert!(may_read(&world.client).await);
    assert!(!may_read(&there).await);
    world.service.set_replica_lag(THERE, Duration::ZERO);
    assert!(may_read(&there).await);

    let put = there.put_resource_policy().secret_id("demo");
    let (code, message) = refused(put.resource_policy(&policy).send().await);
    assert_eq!(code, "InvalidParameterException");
    assert!(message.contains("not permitted on a replica"), "{message}");
    let delete = there.delete_resource_policy().secret_id("demo");
    assert_eq!(refused(delete.send().await).1, message);
    let validate = there.validate_resource_policy().secret_id("demo");
    validate.resource_policy(&policy).send().await.unwrap();
}
