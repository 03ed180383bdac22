//! The policies for an application, and for a person who runs rotatectl.

use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use local::{
    iam::{Decision, Keys, Policy, Request, decide},
    world::REGION,
};
use serde_json::{Value, json};

use crate::{Deployed, ELSEWHERE, KEY, common, template::Template};

/// The application's policy for the secret with this ARN.
fn application(deployed: &Deployed, arn: &str) -> Value {
    let mut policies = deployed
        .resources
        .iter()
        .filter(|(name, _)| name.starts_with("ApplicationPolicy"))
        .map(|(_, resource)| &resource["Properties"]["PolicyDocument"]);
    policies
        .find(|policy| policy["Statement"][0]["Resource"] == arn)
        .unwrap()
        .clone()
}

fn operator(deployed: &Deployed) -> Value {
    deployed.resources["OperatorPolicy"]["Properties"]["PolicyDocument"].clone()
}

#[tokio::test]
async fn an_application_reads_its_secret_and_does_nothing_else() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    let arn = common::arn(world, world.single_user());
    deployed.restrict("application", &application(&deployed, &arn));
    for stage in ["AWSCURRENT", "AWSPENDING"] {
        let input = json!({ "SecretId": arn, "VersionStage": stage });
        // during a single user's rotation the client reads AWSPENDING; here it does not exist
        let read = deployed.call("application", "GetSecretValue", input).await;
        let found = read.map(drop).map_err(|(code, _)| code);
        let absent = Err("ResourceNotFoundException".to_owned());
        assert_eq!(
            found,
            if stage == "AWSCURRENT" {
                Ok(())
            } else {
                absent
            }
        );
    }
    assert_eq!(
        deployed.allowed("application", world.single_user()).await,
        ["GetSecretValue"]
    );
    for other in [world.alternating_users(), world.admin()] {
        let nothing: [&str; 0] = [];
        assert_eq!(
            deployed.allowed("application", other).await,
            nothing,
            "{other}"
        );
    }
}

#[tokio::test]
async fn an_application_needs_each_statement_of_its_policy() {
    let deployed = Deployed::new(&[]).await;
    let arn = common::arn(&deployed.world, deployed.world.single_user());
    let policy = application(&deployed, &arn);
    let count = policy["Statement"].as_array().unwrap().len();
    assert_eq!(count, 2);
    for gone in 0..count {
        let mut less = policy.clone();
        less["Statement"].as_array_mut().unwrap().remove(gone);
        deployed.restrict("application", &less);
        let read = deployed
            .call("application", "GetSecretValue", json!({ "SecretId": arn }))
            .await;
        assert_eq!(read.unwrap_err().0, "AccessDeniedException");
    }
}

#[tokio::test]
async fn an_operator_sees_rotates_revokes_and_mends_and_does_nothing_else() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    deployed.restrict("operator", &operator(&deployed));
    let id = common::arn(world, world.alternating_users());

    let started = deployed
        .call("operator", "RotateSecret", json!({ "SecretId": id }))
        .await;
    let token = started.unwrap()["VersionId"].as_str().unwrap().to_owned();
    let rotation = world.secrets_manager().rotation(&id, &token).await;
    assert!(rotation.succeeded, "{rotation:?}");
    let event = json!({ "Step": "revokeSecret", "SecretId": id });
    let answer = deployed.invoke("operator", event).await.unwrap();
    assert_eq!(answer["outcome"], "revoked");

    let mends = [
        "BatchGetSecretValue",
        "CancelRotateSecret",
        "DescribeSecret",
        "GetResourcePolicy",
        "GetSecretValue",
        "ListSecretVersionIds",
        "ListSecrets",
        "PutSecretValue",
        "RotateSecret",
        "StopReplicationToReplica",
        "UpdateSecretVersionStage",
    ];
    assert_eq!(
        deployed.allowed("operator", world.single_user()).await,
        mends
    );
    let sees = [
        "BatchGetSecretValue",
        "DescribeSecret",
        "GetResourcePolicy",
        "GetSecretValue",
        "ListSecrets",
        "StopReplicationToReplica",
    ];
    assert_eq!(deployed.allowed("operator", world.admin()).await, sees);
    let other = json!({ "Name": "other", "SecretString": "x" });
    common::call(world, "CreateSecret", other).await;
    let not_this_functions = deployed.allowed("operator", "other").await;
    // rotatectl audit examines every secret; the last call has no effect: a secret in its own region is no replica
    let any = [
        "BatchGetSecretValue",
        "DescribeSecret",
        "GetResourcePolicy",
        "ListSecrets",
        "StopReplicationToReplica",
    ];
    assert_eq!(not_this_functions, any);
}

#[tokio::test]
async fn an_operator_turns_a_secrets_rotation_off_and_on_again() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    deployed.restrict("operator", &operator(&deployed));
    let id = json!({ "SecretId": world.single_user() });
    let cancelled = deployed.call("operator", "CancelRotateSecret", id.clone());
    cancelled.await.unwrap();
    let again = deployed.call("operator", "RotateSecret", id);
    again.await.unwrap();
}

#[tokio::test]
async fn an_operator_cannot_give_a_secret_to_another_function() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    let mut policy = operator(&deployed);
    let any = json!({ "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*" });
    policy["Statement"].as_array_mut().unwrap().push(any);
    deployed.restrict("operator", &policy);
    let own = world.function().arn();
    let rotate = |function: String| {
        let input = json!({ "SecretId": world.single_user(), "RotationLambdaARN": function });
        deployed.call("operator", "RotateSecret", input)
    };
    let (code, message) = rotate(format!("{own}-2")).await.unwrap_err();
    assert_eq!(code, "AccessDeniedException");
    assert!(message.contains("secretsmanager:RotateSecret"), "{message}");
    rotate(own).await.unwrap();
}

#[tokio::test]
async fn an_operator_without_the_right_to_values_cannot_read_them() {
    let deployed = Deployed::new(&[("OperatorReadsValues", "false")]).await;
    let world = &deployed.world;
    deployed.restrict("operator", &operator(&deployed));
    let sees = [
        "CancelRotateSecret",
        "DescribeSecret",
        "GetResourcePolicy",
        "ListSecretVersionIds",
        "ListSecrets",
        "RotateSecret",
        "StopReplicationToReplica",
        "UpdateSecretVersionStage",
    ];
    assert_eq!(
        deployed.allowed("operator", world.single_user()).await,
        sees
    );
    assert_eq!(
        deployed.allowed("operator", world.admin()).await,
        [
            "DescribeSecret",
            "GetResourcePolicy",
            "ListSecrets",
            "StopReplicationToReplica"
        ]
    );
}

/// The operations of other services: only the policy's decision.
#[tokio::test]
async fn an_operator_inspects_this_function_its_log_and_the_keys_and_no_others() {
    let deployed = Deployed::new(&[]).await;
    let policy = Policy::parse(&operator(&deployed)).unwrap();
    let function = deployed.world.function().arn();
    let log_group = "LogGroup.Arn";
    for (action, resource) in [
        ("lambda:GetFunctionConfiguration", function.as_str()),
        ("lambda:GetPolicy", &function),
        ("logs:FilterLogEvents", log_group),
        ("kms:DescribeKey", KEY),
    ] {
        for (resource, decision) in [
            (resource.to_owned(), Decision::Allowed),
            (format!("{resource}-2"), Decision::NotAllowed),
        ] {
            let keys = Keys::default();
            let request = Request {
                action,
                resource: &resource,
                keys: &keys,
            };
            let decided = decide(std::slice::from_ref(&policy), &request);
            assert_eq!(decided, Ok(decision), "{action} {resource}");
        }
    }
}

#[tokio::test]
async fn an_operator_promotes_replicas_of_this_regions_watched_secrets_and_deletes_none() {
    let deployed = Deployed::new(&[("WatchedSecrets", "*demo/*")]).await;
    let world = &deployed.world;
    deployed.restrict("operator", &operator(&deployed));
    let there = json!([{ "Region": ELSEWHERE }]);
    let other = json!({ "Name": "other", "SecretString": "x" });
    common::call(world, "CreateSecret", other).await;
    for secret in [world.single_user(), "other"] {
        let replicate = json!({ "SecretId": secret, "AddReplicaRegions": there });
        common::call(world, "ReplicateSecretToRegions", replicate).await;
    }
    // a secret of that region, and a replica of one of that region
    let foreign = json!({
        "Name": "demo/foreign", "SecretString": "x", "AddReplicaRegions": [{ "Region": "us-west-2" }],
    });
    let created = deployed.call_in(ELSEWHERE, "any", "CreateSecret", foreign);
    created.await.unwrap();
    let promote = |region: &'static str, secret: &str| {
        let id = json!({ "SecretId": secret });
        deployed.call_in(region, "operator", "StopReplicationToReplica", id)
    };
    for (region, secret) in [
        (ELSEWHERE, "demo/foreign"),
        ("us-west-2", "demo/foreign"),
        (ELSEWHERE, "other"),
    ] {
        let (code, message) = promote(region, secret).await.unwrap_err();
        assert_eq!(code, "AccessDeniedException", "{message}");
    }
    let id = json!({ "SecretId": world.single_user() });
    let delete = deployed.call_in(ELSEWHERE, "operator", "DeleteSecret", id);
    assert_eq!(delete.await.unwrap_err().0, "AccessDeniedException");

    let arn = common::arn(world, world.single_user()).replace(REGION, ELSEWHERE);
    let promoted = promote(ELSEWHERE, world.single_user()).await.unwrap();
    assert_eq!(promoted["ARN"], arn);
    let described = common::call(
        world,
        "DescribeSecret",
        json!({ "SecretId": world.single_user() }),
    )
    .await;
    assert!(described["ReplicationStatus"].is_null());
}

#[tokio::test]
async fn an_operator_looks_into_cloudtrail() {
    let deployed = Deployed::new(&[]).await;
    let policy = Policy::parse(&operator(&deployed)).unwrap();
    let request = Request {
        action: "cloudtrail:LookupEvents",
        resource: "*",
        keys: &Keys::default(),
    };
    let decided = decide(std::slice::from_ref(&policy), &request);
    assert_eq!(decided, Ok(Decision::Allowed));
}

#[tokio::test]
async fn a_guarded_secret_cannot_be_deleted_and_still_rotates() {
    let world = common::world().await;
    let parameters = [
        ("SecretName", "any"),
        ("SecretDocument", "{\"username\": \"any\"}"),
    ];
    let guard = &Template::secret(&parameters).resources()["Guard"]["Properties"];
    let put = world
        .aws()
        .put_resource_policy()
        .secret_id(world.single_user());
    let put = put.resource_policy(guard["ResourcePolicy"].to_string());
    let put = put.set_block_public_policy(guard["BlockPublicPolicy"].as_bool());
    put.send().await.unwrap();
    let delete = || world.aws().delete_secret().secret_id(world.single_user());
    for delete in [delete(), delete().force_delete_without_recovery(true)] {
        let error = delete.send().await.unwrap_err().into_service_error();
        assert_eq!(error.code(), Some("AccessDeniedException"), "{error:?}");
    }
    let rotation = common::rotate(&world, world.single_user()).await;
    assert!(rotation.succeeded, "{rotation:?}");
}
