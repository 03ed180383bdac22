//! `rotatectl audit` against the local world.

#![cfg(test)]

mod common;

use aws_sdk_secretsmanager::{Client, config::Region};
use common::{call, called, inject_error, json_of, rotatectl, stdout_of, tag, world};
use serde_json::{Value, json};
use snapbox::str;

/// Which findings a secret has.
fn findings(report: &Value, secret: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let own = findings.filter(|finding| finding["secret"] == secret);
    own.map(|finding| finding["finding"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn audit_examines_every_secret_without_reading_a_value_and_exits_with_2() {
    let world = world().await;
    let before = called(&world, "GetSecretValue");
    rotatectl(&world, &["audit"])
        .await
        .code(2)
        .stdout_eq(str![[r#"
SECRET                  FINDING          DETAIL
demo/admin              no-rotation      rotation was never turned on
demo/admin              no-customer-key  encrypted with alias/aws/secretsmanager
demo/orders/single      no-customer-key  encrypted with alias/aws/secretsmanager
demo/stock/alternating  no-customer-key  encrypted with alias/aws/secretsmanager

3 secrets, 3 with findings: 1 no-rotation, 3 no-customer-key

"#]])
        .stderr_eq("");
    assert_eq!(called(&world, "GetSecretValue"), before);
    assert_eq!(called(&world, "BatchGetSecretValue"), 0);
}

#[tokio::test]
async fn the_exit_code_is_0_without_findings_and_3_if_a_check_was_not_possible() {
    let world = world().await;
    let secret = world.single_user();
    let audit = ["audit", secret, "--ignore", "no-customer-key"];
    rotatectl(&world, &audit)
        .await
        .success()
        .stdout_eq("1 secret, none with findings\n");
    let code = "AccessDeniedException";
    inject_error(&world, "GetResourcePolicy", code, "not authorized");
    rotatectl(&world, &audit)
        .await
        .code(3)
        .stdout_eq("1 secret, none with findings\n")
        .stderr_eq("Note: secretsmanager:GetResourcePolicy is denied (not authorized): allow it for the principal that runs rotatectl\n");
}

#[tokio::test]
async fn overdue_and_unread_secrets_are_found_by_their_dates() {
    let world = world().await;
    let secret = world.single_user();
    world.secrets_manager().age(secret, 100).unwrap();
    let report = json_of(&rotatectl(&world, &["audit", "--json"]).await.code(2));
    let expected = ["overdue", "unread", "no-customer-key"];
    assert_eq!(findings(&report, secret), expected, "{report}");
    let patient = ["audit", "--json", "--unread-for", "200d"];
    let report = json_of(&rotatectl(&world, &patient).await.code(2));
    assert_eq!(findings(&report, secret), ["overdue", "no-customer-key"]);
}

#[tokio::test]
async fn the_readers_that_a_policy_admits_are_found() {
    let world = world().await;
    let secret = world.single_user();
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::999999999999:role/reader" },
          "Action": "secretsmanager:GetSecretValue", "Resource": "*" },
        { "Effect": "Allow", "Principal": "*", "Action": "secretsmanager:Get*", "Resource": "*" }
    ]});
    let put = json!({ "SecretId": secret, "ResourcePolicy": policy.to_string() });
    call(&world, "PutResourcePolicy", put).await;
    let ran = rotatectl(&world, &["audit", secret, "--ignore", "no-customer-key"]).await;
    ran.code(2).stdout_eq(str![[r#"
SECRET              FINDING        DETAIL
demo/orders/single  public         everyone may read it
demo/orders/single  other-account  arn:aws:iam::999999999999:role/reader may read it

1 secret, 1 with findings: 1 public, 1 other-account

"#]]);
}

#[tokio::test]
async fn a_name_outside_the_patterns_is_found_and_tags_narrow_the_list() {
    let world = world().await;
    let secret = world.single_user();
    tag(&world, secret, "team", "orders").await;
    let audit = [
        "audit",
        "--tag",
        "team=orders",
        "--ignore",
        "no-customer-key",
    ];
    let fits = [&audit[..], &["--name-pattern", "demo/*"]].concat();
    rotatectl(&world, &fits).await.success();
    let outside = [&audit[..], &["--name-pattern", "prod/*"]].concat();
    let said = stdout_of(&rotatectl(&world, &outside).await.code(2));
    assert!(
        said.contains("demo/orders/single  name     the name fits none of prod/*"),
        "{said}"
    );
}

#[tokio::test]
async fn a_replica_that_is_out_of_step_is_found() {
    let world = world().await;
    let secret = world.single_user();
    // its name is in use there
    let there = world.aws().config().to_builder();
    let there = Client::from_conf(there.region(Region::new("eu-west-1")).build());
    let create = there.create_secret().name(secret).secret_string("theirs");
    create.send().await.unwrap();
    let regions = json!([{ "Region": "eu-west-1" }, { "Region": "eu-central-1" }]);
    let replicate = json!({ "SecretId": secret, "AddReplicaRegions": regions });
    call(&world, "ReplicateSecretToRegions", replicate).await;
    let ran = rotatectl(&world, &["audit", "--json", secret]).await;
    let report = json_of(&ran.code(2));
    let findings = report["findings"].as_array().unwrap().iter();
    let mut found = findings.filter(|found| found["finding"] == "replica-out-of-step");
    let detail = found.next().unwrap()["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("eu-west-1: Replication failed"),
        "{report}"
    );
    assert_eq!(found.next(), None, "{report}");
}
