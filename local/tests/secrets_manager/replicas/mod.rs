//! Secrets in several regions: replicas that follow their primaries, and what can be done where they are.

mod rights;

use std::time::Duration;

use aws_sdk_secretsmanager::{
    Client,
    operation::replicate_secret_to_regions::builders::ReplicateSecretToRegionsFluentBuilder,
    types::{Filter, ReplicaRegionType, ReplicationStatusType, RotationRulesType, StatusType, Tag},
};
use serde_json::{Value, json};

use super::{REGION, World, common::refused, serve, serve_without_function, token, value};

const THERE: &str = "eu-west-1";
const ELSEWHERE: &str = "eu-north-1";
const HOUR: Duration = Duration::from_secs(3600);
const NOT_FOUND: &str = "ResourceNotFoundException";

fn region(name: &str) -> ReplicaRegionType {
    ReplicaRegionType::builder().region(name).build()
}

impl World {
    fn replicate(&self, to: &str) -> ReplicateSecretToRegionsFluentBuilder {
        let replicate = self.client.replicate_secret_to_regions();
        replicate.secret_id("demo").add_replica_regions(region(to))
    }

    /// The secret `demo` with a replica in that region, which is there.
    async fn create_replicated(&self, to: &str) {
        self.create("demo", "one").await;
        self.replicate(to).send().await.unwrap();
        assert_eq!(self.status().await, [(to.to_owned(), StatusType::InSync)]);
    }

    async fn replicas(&self) -> Vec<ReplicationStatusType> {
        let described = self.describe("demo").await;
        described.replication_status.unwrap_or_default()
    }

    /// Each region with a replica of `demo`, and how that is.
    async fn status(&self) -> Vec<(String, StatusType)> {
        statuses(self.replicas().await)
    }
}

fn statuses(replicas: Vec<ReplicationStatusType>) -> Vec<(String, StatusType)> {
    let status =
        |replica: ReplicationStatusType| (replica.region.unwrap(), replica.status.unwrap());
    replicas.into_iter().map(status).collect()
}

/// The code of the error that a read of a secret is answered with, or its value.
async fn read(client: &Client, secret: &str) -> Result<String, String> {
    match client.get_secret_value().secret_id(secret).send().await {
        Ok(read) => Ok(read.secret_string.unwrap()),
        refusal => Err(refused(refusal).0),
    }
}

#[tokio::test]
async fn a_replica_is_the_same_secret_under_the_arn_of_its_region() {
    let world = serve_without_function().await;
    let create = world.client.create_secret().name("demo");
    let create = create.secret_string("one").description("of two regions");
    let create = create.tags(Tag::builder().key("team").value("orders").build());
    let created = create.add_replica_regions(region(THERE)).send().await;
    let created = created.unwrap();
    let begun = statuses(created.replication_status.unwrap());
    assert_eq!(begun, [(THERE.to_owned(), StatusType::InProgress)]);
    let (arn, version) = (created.arn.unwrap(), created.version_id.unwrap());
    let there = world.client_in(THERE);
    let replica = arn.replace(REGION, THERE);

    let found = there.get_secret_value().secret_id("demo").send().await;
    let found = found.unwrap();
    let of = |text: Option<String>| text.unwrap();
    assert_eq!(of(found.secret_string), "one");
    assert_eq!(
        (of(found.arn), of(found.version_id)),
        (replica.clone(), version.clone())
    );
    assert_eq!(read(&there, &replica).await.unwrap(), "one");
    let batch = there.batch_get_secret_value().secret_id_list("demo");
    let batch = batch.send().await.unwrap();
    assert_eq!(batch.secret_values()[0].arn(), Some(replica.as_str()));
    let versions = there.list_secret_version_ids().secret_id("demo");
    let versions = versions.send().await.unwrap();
    assert_eq!(versions.versions()[0].version_id(), Some(version.as_str()));

    let described = there.describe_secret().secret_id("demo").send().await;
    let described = described.unwrap();
    assert_eq!(described.arn(), Some(replica.as_str()));
    assert_eq!(described.description(), Some("of two regions"));
    assert_eq!(described.tags()[0].key(), Some("team"));
    assert_eq!(described.primary_region(), Some(REGION));
    assert!(described.replication_status().is_empty());
    let primary = world.describe("demo").await;
    assert_eq!(primary.primary_region(), Some(REGION));
    let replicas = primary.replication_status();
    assert_eq!(replicas[0].kms_key_id(), Some("alias/aws/secretsmanager"));
    assert_eq!(replicas[0].status(), Some(&StatusType::InSync));

    for (primary, count) in [(REGION, 1), (THERE, 0)] {
        let by = Filter::builder()
            .key("primary-region".into())
            .values(primary);
        let listed = there.list_secrets().filters(by.build()).send().await;
        assert_eq!(listed.unwrap().secret_list().len(), count, "{primary}");
    }
    // neither the primary's ARN there, nor the replica's here, nor anything in a third region
    assert_eq!(read(&there, &arn).await.unwrap_err(), NOT_FOUND);
    assert_eq!(read(&world.client, &replica).await.unwrap_err(), NOT_FOUND);
    let elsewhere = world.client_in(ELSEWHERE);
    assert_eq!(read(&elsewhere, "demo").await.unwrap_err(), NOT_FOUND);
}

#[tokio::test]
async fn a_replica_is_added_changed_and_removed_with_the_lag_of_its_region() {
    let world = serve_without_function().await;
    let (there, lag) = (world.client_in(THERE), |lag| {
        world.service.set_replica_lag(THERE, lag);
    });
    lag(HOUR);
    world.create("demo", "one").await;
    world.replicate(THERE).send().await.unwrap();
    let in_progress = [(THERE.to_owned(), StatusType::InProgress)];
    assert_eq!(world.status().await, in_progress);
    let new = world.client.create_secret().name("new").secret_string("x");
    let new = new.add_replica_regions(region(THERE));
    new.send().await.unwrap();
    for secret in ["demo", "new"] {
        assert_eq!(read(&there, secret).await.unwrap_err(), NOT_FOUND);
    }
    lag(Duration::ZERO);
    assert_eq!(read(&there, "demo").await.unwrap(), "one");
    assert_eq!(read(&there, "new").await.unwrap(), "x");
    let in_sync = [(THERE.to_owned(), StatusType::InSync)];
    assert_eq!(world.status().await, in_sync);

    // what it has already it keeps, also where its region lags more from now on
    lag(HOUR);
    world.put("two").send().await.unwrap();
    assert_eq!(read(&there, "demo").await.unwrap(), "one");
    assert_eq!(world.status().await, in_sync, "a replica that lags is one");
    lag(Duration::ZERO);
    assert_eq!(read(&there, "demo").await.unwrap(), "two");
    assert_eq!(value(&there, "AWSPREVIOUS").await, "one");

    // also of what is older than it lags
    world.service.advance(2 * HOUR).unwrap();
    world.put("three").send().await.unwrap();
    assert_eq!(read(&there, "demo").await.unwrap(), "three");
    lag(HOUR);
    assert_eq!(read(&there, "demo").await.unwrap(), "three");
    let remove = world.client.remove_regions_from_replication();
    let remove = remove.secret_id("demo").remove_replica_regions(THERE);
    let removed = remove.clone().send().await.unwrap();
    assert!(removed.replication_status().is_empty());
    assert_eq!(read(&there, "demo").await.unwrap(), "three");
    lag(Duration::ZERO);
    assert_eq!(read(&there, "demo").await.unwrap_err(), NOT_FOUND);
    remove.send().await.unwrap();
}

#[tokio::test]
async fn one_name_in_two_regions_is_two_secrets() {
    let world = serve_without_function().await;
    let there = world.client_in(THERE);
    world.create("demo", "here").await;
    let create = there.create_secret().name("demo").secret_string("there");
    let arn = create.send().await.unwrap().arn.unwrap();
    assert!(arn.contains(THERE), "{arn}");
    assert_eq!(read(&world.client, "demo").await.unwrap(), "here");
    assert_eq!(read(&there, "demo").await.unwrap(), "there");
    let described = there.describe_secret().secret_id(&arn).send().await;
    assert_eq!(described.unwrap().primary_region(), None);
    let deleted = there.delete_secret().secret_id("demo");
    deleted
        .force_delete_without_recovery(true)
        .send()
        .await
        .unwrap();
    assert_eq!(read(&world.client, "demo").await.unwrap(), "here");
}

#[tokio::test]
async fn a_change_to_a_replica_is_refused_in_its_own_region() {
    let world = serve_without_function().await;
    world.create_replicated(THERE).await;
    let there = world.client_in(THERE);
    macro_rules! all_refused {
        ($($request:expr),* $(,)?) => {$(
            let (code, message) = refused($request.secret_id("demo").send().await);
            assert_eq!(code, "InvalidParameterException", "{message}");
            let said = "Operation not permitted on a replica secret. Call must be made in primary secret's region.";
            assert_eq!(message, said);
        )*};
    }
    let tag = Tag::builder().key("k").value("v").build();
    all_refused!(
        there.put_secret_value().secret_string("two"),
        there.update_secret().description("another"),
        there.update_secret_version_stage().version_stage("mine"),
        there
            .rotate_secret()
            .rotation_lambda_arn("arn:aws:lambda:eu-west-1:123456789012:function:f"),
        there.cancel_rotate_secret(),
        there.tag_resource().tags(tag),
        there.untag_resource().tag_keys("k"),
        there.delete_secret(),
        there.delete_secret().force_delete_without_recovery(true),
        there.restore_secret(),
        there
            .replicate_secret_to_regions()
            .add_replica_regions(region(ELSEWHERE)),
        there
            .remove_regions_from_replication()
            .remove_replica_regions(THERE),
    );
    let create = there.create_secret().name("demo").secret_string("two");
    assert_eq!(refused(create.send().await).0, "ResourceExistsException");
    assert_eq!(read(&there, "demo").await.unwrap(), "one");
}

#[tokio::test]
async fn a_secrets_own_region_cannot_be_a_replica_region() {
    let world = serve_without_function().await;
    let create = world.client.create_secret().name("demo");
    let create = create.add_replica_regions(region(REGION)).send().await;
    let (code, message) = refused(create);
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(message, "Invalid replica region.");
    world.create("demo", "one").await;
    let (_, message) = refused(world.replicate(REGION).send().await);
    assert_eq!(message, "Invalid replica region.");
    assert!(world.replicas().await.is_empty());
}

#[tokio::test]
async fn a_name_in_use_in_the_other_region_fails_unless_overwriting_is_allowed() {
    let world = serve_without_function().await;
    let there = world.client_in(THERE);
    let create = there.create_secret().name("demo").secret_string("theirs");
    create.send().await.unwrap();
    world.create("demo", "one").await;
    world.replicate(THERE).send().await.unwrap();
    let [replica] = &world.replicas().await[..] else {
        panic!("one was asked for")
    };
    assert_eq!(replica.status(), Some(&StatusType::Failed));
    let said = "Replication failed: Secret name demo already exists in region eu-west-1.";
    assert_eq!(replica.status_message(), Some(said));
    assert_eq!(read(&there, "demo").await.unwrap(), "theirs");

    let overwrite = world.replicate(THERE).force_overwrite_replica_secret(true);
    overwrite.send().await.unwrap();
    assert_eq!(read(&there, "demo").await.unwrap(), "one");
    let in_sync = [(THERE.to_owned(), StatusType::InSync)];
    assert_eq!(world.status().await, in_sync);
}

#[tokio::test]
async fn a_replica_in_the_other_region_is_never_overwritten() {
    let world = serve_without_function().await;
    let there = world.client_in(THERE);
    let create = there.create_secret().name("demo").secret_string("theirs");
    let create = create.add_replica_regions(region(ELSEWHERE));
    create.send().await.unwrap();
    world.create("demo", "one").await;
    for taken in [THERE, ELSEWHERE] {
        let overwrite = world.replicate(taken).force_overwrite_replica_secret(true);
        overwrite.send().await.unwrap();
        let elsewhere = world.client_in(taken);
        assert_eq!(read(&elsewhere, "demo").await.unwrap(), "theirs");
    }
    let failed = |to: &str| (to.to_owned(), StatusType::Failed);
    assert_eq!(world.status().await, [failed(THERE), failed(ELSEWHERE)]);
}

#[tokio::test]
async fn a_secret_is_deleted_only_after_its_replicas() {
    let world = serve_without_function().await;
    world.create_replicated(THERE).await;
    world.replicate(ELSEWHERE).send().await.unwrap();
    let delete = world.client.delete_secret().secret_id("demo");
    let arn = world.service.arn("demo").unwrap();
    for delete in [
        delete.clone(),
        delete.clone().force_delete_without_recovery(true),
    ] {
        let (code, message) = refused(delete.send().await);
        assert_eq!(code, "InvalidParameterException");
        let said = format!(
            "You can't delete secret {arn} that still has replica regions [{THERE}, {ELSEWHERE}]."
        );
        assert_eq!(message, said);
    }
    let remove = world.client.remove_regions_from_replication();
    let remove = remove.secret_id("demo").remove_replica_regions(THERE);
    let remove = remove.remove_replica_regions(ELSEWHERE);
    remove.send().await.unwrap();
    assert_eq!(world.describe("demo").await.primary_region(), None);
    delete.send().await.unwrap();
    for region in [THERE, ELSEWHERE] {
        let client = world.client_in(region);
        assert_eq!(read(&client, "demo").await.unwrap_err(), NOT_FOUND);
    }
}

/// Recorded by practitioners: replicas go some time after they were removed, and the deletion of the primary outruns that.
#[tokio::test]
async fn a_replica_that_its_primary_removed_stays_a_replica_until_it_is_promoted() {
    let world = serve_without_function().await;
    world.create_replicated(THERE).await;
    world.service.set_replica_lag(THERE, HOUR);
    let remove = world.client.remove_regions_from_replication();
    let remove = remove.secret_id("demo").remove_replica_regions(THERE);
    remove.send().await.unwrap();
    let delete = world.client.delete_secret().secret_id("demo");
    delete
        .force_delete_without_recovery(true)
        .send()
        .await
        .unwrap();
    world.service.set_replica_lag(THERE, Duration::ZERO);

    let there = world.client_in(THERE);
    assert_eq!(read(&there, "demo").await.unwrap(), "one");
    let delete = there.delete_secret().secret_id("demo");
    let (_, message) = refused(delete.clone().send().await);
    assert!(message.contains("not permitted on a replica"), "{message}");
    let stop = there.stop_replication_to_replica().secret_id("demo");
    stop.send().await.unwrap();
    delete.send().await.unwrap();
}

#[tokio::test]
async fn a_promoted_replica_is_an_independent_secret_and_rotates() {
    let world = serve(|client: Client, event: Value| async move {
        let secret = event["SecretId"].as_str().unwrap().to_owned();
        let version = event["ClientRequestToken"].as_str().unwrap().to_owned();
        let config = client.config().to_builder();
        let region = secret.split(':').nth(3).unwrap().to_owned();
        let region = aws_sdk_secretsmanager::config::Region::new(region);
        let client = Client::from_conf(config.region(region).build());
        if event["Step"] == "createSecret" {
            let put = client.put_secret_value().secret_id(&secret);
            let put = put.client_request_token(&version).secret_string("rotated");
            put.version_stages("AWSPENDING").send().await.unwrap();
        }
        if event["Step"] == "finishSecret" {
            let current = client.get_secret_value().secret_id(&secret).send().await;
            let promote = client.update_secret_version_stage().secret_id(&secret);
            let promote = promote
                .version_stage("AWSCURRENT")
                .move_to_version_id(version);
            let promote = promote.remove_from_version_id(current.unwrap().version_id.unwrap());
            promote.send().await.unwrap();
        }
        Ok(())
    })
    .await;
    world.create_replicated(THERE).await;
    let there = world.client_in(THERE);
    let arn = world.service.arn("demo").unwrap().replace(REGION, THERE);
    let stop = |client: &Client| {
        client
            .stop_replication_to_replica()
            .secret_id("demo")
            .send()
    };
    assert_eq!(
        refused(stop(&world.client).await).0,
        "InvalidParameterException"
    );

    assert_eq!(stop(&there).await.unwrap().arn(), Some(arn.as_str()));
    assert!(world.replicas().await.is_empty());
    let described = there.describe_secret().secret_id("demo").send().await;
    assert_eq!(described.unwrap().primary_region(), None);
    assert_eq!(refused(stop(&there).await).0, "InvalidParameterException");
    world.put("two").send().await.unwrap();
    assert_eq!(read(&there, "demo").await.unwrap(), "one");

    let rotate = there.rotate_secret().secret_id("demo");
    let rotate = rotate.rotation_lambda_arn("arn:aws:lambda:eu-west-1:123456789012:function:f");
    let daily = RotationRulesType::builder().automatically_after_days(1);
    let rotate = rotate.rotation_rules(daily.build());
    let rotate = rotate.client_request_token(token("rotation"));
    rotate.send().await.unwrap();
    let rotation = world.service.rotation(&arn, &token("rotation")).await;
    assert!(rotation.succeeded, "{rotation:?}");
    assert_eq!(read(&there, "demo").await.unwrap(), "rotated");
    assert_eq!(read(&world.client, "demo").await.unwrap(), "two");
    let fired = world.service.advance(48 * HOUR).unwrap();
    assert_eq!(fired.len(), 1);
    let by_schedule = fired[0].begun.as_ref().unwrap();
    let rotation = world.service.rotation(&arn, by_schedule).await;
    assert!(rotation.succeeded, "{rotation:?}");

    // and its name is in use now
    world.replicate(THERE).send().await.unwrap();
    let failed = [(THERE.to_owned(), StatusType::Failed)];
    assert_eq!(world.status().await, failed);
}
