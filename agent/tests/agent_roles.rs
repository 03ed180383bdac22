//! `roleArn`: reads a secret with the rights of a role, as AWS's agent does.

#![cfg(test)]

mod common;

use common::{Agent, World, secrets_manager};
use serde_json::{Value, json};

const READER: &str = "arn:aws:iam::123456789012:role/reader";

/// An agent whose own credentials may read no secret. A role may.
async fn world(lines: &str) -> World {
    let (service, endpoint) = secrets_manager().await;
    let own = [allow("sts:AssumeRole", "*")];
    service.iam().restrict("AKIAAGENT", "agent", &own).unwrap();
    let settings = format!("sts_endpoint = \"{endpoint}\"");
    let agent = Agent::start(&endpoint, lines, &settings);
    let world = World {
        service,
        endpoint,
        agent,
    };
    world.create("orders/db", "one").await;
    world.define("reader");
    world
}

fn allow(action: &str, resource: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": action, "Resource": resource } })
}

impl World {
    /// A role that may read every secret.
    fn define(&self, role: &str) {
        let trust = json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": { "AWS": "123456789012" }, "Action": "sts:AssumeRole",
        } });
        let read = [allow("secretsmanager:GetSecretValue", "*")];
        self.service.iam().define(role, &trust, &read).unwrap();
    }
}

fn refused(role: &str) -> String {
    format!(
        r#"{{"__type":"AccessDeniedException","message":"Failed to create caching client from role: {role}"}}"#
    )
}

#[tokio::test]
async fn a_secret_is_read_with_the_roles_rights_and_its_cache_is_no_one_elses() {
    let world = world("").await;
    for _ in 0..3 {
        let read = world
            .agent
            .read(&format!("orders/db&roleArn={READER}"))
            .await;
        assert_eq!(read.value(), "one");
        let path = format!("/v1/orders/db?roleArn={READER}");
        assert_eq!(world.agent.get(&path).await.value(), "one");
    }
    assert_eq!(world.asked(), 1);
    // a request without the role does not get what the role has read
    for _ in 0..3 {
        let own = world.agent.read("orders/db").await;
        assert_eq!(own.status, 400);
        assert_eq!(own.json()["__type"], "AccessDeniedException");
    }
    let call = world
        .agent
        .call("GetSecretValue", json!({ "SecretId": "orders/db" }))
        .await;
    assert_eq!(call.json()["__type"], "AccessDeniedException");
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_awss_error_and_takes_no_place() {
    let world = world("max_roles = 1").await;
    for number in 0..5 {
        let role = format!("arn:aws:iam::123456789012:role/absent-{number}");
        let read = world.agent.read(&format!("orders/db&roleArn={role}")).await;
        assert_eq!(read.text(), (403, &*refused(&role)));
    }
    let read = world
        .agent
        .read(&format!("orders/db&roleArn={READER}"))
        .await;
    assert_eq!(read.value(), "one");
}

#[tokio::test]
async fn a_role_that_was_refused_is_not_asked_for_by_each_reader_and_works_once_it_is_there() {
    let mut world = world("").await;
    let late = "arn:aws:iam::123456789012:role/late";
    let query = format!("orders/db&roleArn={late}");
    let reads = (0..50).map(|_| world.agent.read(&query));
    for read in futures_util::future::join_all(reads).await {
        assert_eq!(read.status, 403);
    }
    world.define("late");
    let read = common::until(async || {
        let read = world.agent.read(&query).await;
        (read.status == 200).then_some(read)
    })
    .await;
    assert_eq!(read.value(), "one");
    assert_eq!(
        world.agent.whole_log().matches("was not assumed").count(),
        1
    );
}

#[tokio::test]
async fn more_roles_than_max_roles_are_refused_and_those_that_are_there_stay() {
    let world = world("max_roles = 2").await;
    for number in 0..4 {
        world.define(&format!("r{number}"));
    }
    let read = |number: usize| {
        let query = format!("orders/db&roleArn=arn:aws:iam::123456789012:role/r{number}");
        async { world.agent.read(&{ query }).await }
    };
    for (number, status) in [(0, 200), (1, 200), (2, 400), (0, 200), (3, 400), (1, 200)] {
        let read = read(number).await;
        assert_eq!(read.status, status, "{read:?}");
        assert!(status == 200 || read.json()["__type"] == "MaxRolesExceeded");
    }
}

#[tokio::test]
async fn what_is_no_roles_arn_is_refused_in_awss_words() {
    let world = world("").await;
    let text = "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>";
    for role in [
        "",
        "reader",
        "arn:aws:iam::1:role/reader",
        "arn:aws:iam::123456789012:role/a%0Ab",
    ] {
        let read = world.agent.read(&format!("orders/db&roleArn={role}")).await;
        assert_eq!(read.text(), (400, text), "{role}");
    }
    assert_eq!(world.asked(), 0);
}
