//! What the help says that it needs is what it needs: with exactly these rights it works, and without any one of them it says
//! which one is missing.

use local::world::World;
use serde_json::{Value, json};

use crate::{
    assert_logs_in,
    common::{call, document, put, run, world},
    init, new_role, settled,
};

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OPERATOR: &str = "AKIAOPERATOR";

/// Each right, its resource, and the call that fails without it.
fn rights(world: &World) -> Vec<(&'static str, String, &'static str)> {
    let new = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-??????".to_owned();
    let administrator = world.secrets_manager().arn(world.admin()).unwrap();
    let of = |action: &'static str| format!("secretsmanager:{action}").leak() as &'static str;
    let (get, create) = (of("GetSecretValue"), of("CreateSecret"));
    let rotate = of("RotateSecret");
    vec![
        (get, administrator, get),
        (of("DescribeSecret"), new.clone(), of("DescribeSecret")),
        (create, new.clone(), create),
        (of("ReplicateSecretToRegions"), new.clone(), create),
        ("kms:GenerateDataKey", KEY.to_owned(), create),
        ("kms:Decrypt", KEY.to_owned(), create),
        (get, new.clone(), get),
        (rotate, new, rotate),
        (
            "lambda:InvokeFunction",
            world.function().arn(),
            "lambda:InvokeFunction",
        ),
    ]
}

fn allow(world: &World, rights: &[(&str, String, &str)]) {
    let statements: Vec<Value> = rights
        .iter()
        .map(|(action, resource, _)| {
            json!({ "Effect": "Allow", "Action": action, "Resource": resource })
        })
        .collect();
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    world
        .iam()
        .restrict(OPERATOR, "operator", &[policy])
        .unwrap();
}

fn as_operator(world: &World, role: &str) -> std::process::Command {
    let more = [
        "--kms-key",
        KEY,
        "--replica",
        "eu-west-1",
        "--function",
        "secret-rotation",
    ];
    let mut command = init(world, role, &more);
    command.env("AWS_ACCESS_KEY_ID", OPERATOR);
    command
}

#[tokio::test]
async fn the_rights_in_the_help_are_enough_for_everything() {
    let world = world().await;
    let role = new_role(&world);
    allow(&world, &rights(&world));
    run(as_operator(&world, &role)).await.success();
    settled(&world).await;
    assert_logs_in(&world).await;
    // nothing is needed of the database but CREATEROLE: the world's administrator is no superuser
}

#[tokio::test]
async fn without_one_of_the_rights_a_named_call_is_denied_and_with_it_the_same_command_continues() {
    let count = rights(&world().await).len();
    for gone in 0..count {
        let world = world().await;
        let role = new_role(&world);
        let all = rights(&world);
        let mut fewer = all.clone();
        let (action, _, call) = fewer.remove(gone);
        allow(&world, &fewer);
        let ran = run(as_operator(&world, &role)).await.code(1);
        let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
        assert!(
            said.contains(&format!("{call} is denied")),
            "{action}: {said}"
        );
        allow(&world, &all);
        run(as_operator(&world, &role)).await.success();
        assert_logs_in(&world).await;
    }
}

#[tokio::test]
async fn an_administrators_secret_under_a_key_needs_that_key() {
    let world = world().await;
    let role = new_role(&world);
    let stored = document(&world, world.admin(), "AWSCURRENT").await;
    let input = json!({ "SecretId": world.admin(), "KmsKeyId": KEY });
    call(&world, "UpdateSecret", input).await;
    put(&world, world.admin(), &stored).await;
    let mut fewer = rights(&world);
    fewer.retain(|(action, ..)| !action.starts_with("kms:"));
    allow(&world, &fewer);
    let plain = || {
        let mut command = init(&world, &role, &[]);
        command.env("AWS_ACCESS_KEY_ID", OPERATOR);
        command
    };
    let ran = run(plain()).await.code(1);
    let said = String::from_utf8(ran.get_output().stderr.clone()).unwrap();
    assert!(said.contains("Access to KMS is not allowed"), "{said}");
    fewer.push(("kms:Decrypt", KEY.to_owned(), ""));
    allow(&world, &fewer);
    run(plain()).await.success();
}
