//! What a key and a policy allow of replicas.

use super::*;

#[tokio::test]
async fn a_replica_has_a_key_of_its_region_that_writers_and_readers_need() {
    const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let primary = world.service.arn("demo").unwrap();
    let replica = primary.replace(REGION, THERE);
    let restrict = |actions: &[&str]| {
        let policy = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*" },
            { "Effect": "Allow", "Action": actions, "Resource": KEY, "Condition": { "StringEquals": {
                "kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com",
                "kms:EncryptionContext:SecretARN": replica,
            } } },
        ] });
        world
            .service
            .iam()
            .restrict("AKIAROLE", "orders", &[policy])
            .unwrap();
    };
    let to = ReplicaRegionType::builder()
        .region(THERE)
        .kms_key_id(KEY)
        .build();
    let role = world.client_as("AKIAROLE", REGION);
    let replicate = role.replicate_secret_to_regions().secret_id("demo");
    let replicate = replicate.add_replica_regions(to);
    for too_few in [
        vec!["kms:GenerateDataKey"],
        vec!["kms:Encrypt", "kms:Decrypt"],
    ] {
        restrict(&too_few);
        let (code, message) = refused(replicate.clone().send().await);
        assert_eq!(code, "AccessDeniedException");
        assert_eq!(message, "Access to KMS is not allowed");
    }
    restrict(&["kms:GenerateDataKey", "kms:Encrypt"]);
    replicate.send().await.unwrap();
    assert_eq!(world.replicas().await[0].kms_key_id(), Some(KEY));

    let there = world.client_as("AKIAROLE", THERE);
    assert_eq!(
        read(&there, "demo").await.unwrap_err(),
        "AccessDeniedException"
    );
    assert_eq!(read(&role, "demo").await.unwrap(), "one");
    restrict(&["kms:Decrypt"]);
    assert_eq!(read(&there, "demo").await.unwrap(), "one");
}

/// The policies are those of the user guide's page on preventing replication.
#[tokio::test]
async fn policies_see_the_regions_of_a_secrets_replicas() {
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let restrict = |condition: Value| {
        let policy = json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*", "Condition": condition,
        } });
        world
            .service
            .iam()
            .restrict("AKIAROLE", "orders", &[policy])
            .unwrap();
    };
    let role = world.client_as("AKIAROLE", REGION);
    let to = |regions: &[&str]| {
        let regions = regions.iter().map(|name| region(name)).collect();
        let replicate = role.replicate_secret_to_regions().secret_id("demo");
        replicate.set_add_replica_regions(Some(regions)).send()
    };
    let create = |name: &str| role.create_secret().name(name);

    restrict(json!({ "Null": { "secretsmanager:AddReplicaRegions": "true" } }));
    create("alone").send().await.unwrap();
    let replicated = create("replicated").add_replica_regions(region(THERE));
    assert_eq!(refused(replicated.send().await).0, "AccessDeniedException");
    assert_eq!(refused(to(&[THERE]).await).0, "AccessDeniedException");

    restrict(
        json!({ "ForAllValues:StringLike": { "secretsmanager:AddReplicaRegions": ["us-*", "ca-*"] } }),
    );
    to(&["us-west-2", "ca-central-1"]).await.unwrap();
    let (code, message) = refused(to(&["us-west-2", THERE]).await);
    assert_eq!(code, "AccessDeniedException");
    assert!(
        message.contains("secretsmanager:ReplicateSecretToRegions"),
        "{message}"
    );
    create("new")
        .add_replica_regions(region("us-west-2"))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn policies_see_the_region_of_the_primary() {
    let world = serve_without_function().await;
    world.create_replicated(THERE).await;
    let there = world.client_as("AKIAROLE", THERE);
    for (primary, allowed) in [(REGION, true), (THERE, false)] {
        let policy = json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
            "Condition": { "StringEquals": { "secretsmanager:SecretPrimaryRegion": primary } },
        } });
        world
            .service
            .iam()
            .restrict("AKIAROLE", "orders", &[policy])
            .unwrap();
        assert_eq!(read(&there, "demo").await.is_ok(), allowed, "{primary}");
    }
}
