//! The function's role.

use std::slice::from_ref;

use local::iam::{Decision, Keys, Policy, Request, decide};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Deployed, KEY, MASTER, common, common::STEPS, give_key, rotated};

/// The first thing that fails without one right of the role, in a rotation or in the age check.
const FAILS: [(&str, &str, Work, &str); 8] = [
    (
        "RotateTheSecrets",
        "secretsmanager:DescribeSecret",
        Work::Single,
        "createSecret",
    ),
    (
        "RotateTheSecrets",
        "secretsmanager:GetSecretValue",
        Work::Single,
        "createSecret",
    ),
    (
        "RotateTheSecrets",
        "secretsmanager:PutSecretValue",
        Work::Single,
        "createSecret",
    ),
    (
        "RotateTheSecrets",
        "secretsmanager:UpdateSecretVersionStage",
        Work::Single,
        "finishSecret",
    ),
    (
        "ReadTheAdministrators",
        "secretsmanager:GetSecretValue",
        Work::Alternating,
        "setSecret",
    ),
    (
        "UseTheKeysForTheSecrets",
        "kms:Decrypt",
        Work::Single,
        "createSecret",
    ),
    (
        "UseTheKeysForTheSecrets",
        "kms:GenerateDataKey",
        Work::Single,
        "createSecret",
    ),
    (
        "ListTheSecretsForTheAgeCheck",
        "secretsmanager:ListSecrets",
        Work::AgeCheck,
        "age",
    ),
];

/// The rights that no local world can prove, and why.
const UNPROVEN: [(&str, &str); 3] = [
    (
        "WriteTheLog",
        "Lambda itself writes the log, and there is no CloudWatch Logs to refuse it",
    ),
    (
        "LetLambdaJoinTheVpc",
        "Lambda itself asks EC2 for interfaces, and there is no VPC",
    ),
    (
        "KeepTheVpcFromTheCode",
        "it denies what the function's code never asks for",
    ),
];

#[derive(Clone, Copy, Debug)]
enum Work {
    Single,
    Alternating,
    AgeCheck,
}

impl Work {
    /// Does it step by step, and returns what failed first, and why.
    async fn run(self, deployed: &Deployed, token: &str) -> Result<(), (String, String)> {
        let world = &deployed.world;
        let (secret, steps) = match self {
            Self::Single => (world.single_user(), &STEPS[..]),
            Self::Alternating => (world.alternating_users(), &STEPS[..]),
            Self::AgeCheck => ("", &["age"][..]),
        };
        for step in steps {
            let event = match self {
                Self::AgeCheck => json!({ "Check": "age" }),
                _ => json!({
                    "Step": step, "SecretId": common::arn(world, secret), "ClientRequestToken": token,
                }),
            };
            if let Err(error) = world.function().invoke(event).await.outcome {
                assert_eq!(error.error_type, "AccessDenied", "{error}");
                return Err(((*step).to_owned(), error.error_message));
            }
        }
        Ok(())
    }

    fn stage(self, deployed: &Deployed, token: &str) {
        let secret = match self {
            Self::Single => deployed.world.single_user(),
            Self::Alternating => deployed.world.alternating_users(),
            Self::AgeCheck => return,
        };
        let service = deployed.world.secrets_manager();
        service.stage(secret, token).unwrap();
    }
}

fn statements(policy: &Value) -> &Vec<Value> {
    policy["Statement"].as_array().unwrap()
}

fn actions(statement: &Value) -> Vec<String> {
    match &statement["Action"] {
        Value::Array(actions) => actions
            .iter()
            .map(|action| action.as_str().unwrap().to_owned())
            .collect(),
        action => vec![action.as_str().unwrap().to_owned()],
    }
}

/// The policy without one action of a statement, or without the whole statement.
fn without(policy: &Value, sid: &str, action: Option<&str>) -> Value {
    let mut kept = Vec::new();
    for statement in statements(policy) {
        let mut statement = statement.clone();
        if statement["Sid"] == sid {
            let left = actions(&statement);
            let left: Vec<_> = left
                .into_iter()
                .filter(|a| action.is_some_and(|gone| a != gone))
                .collect();
            if left.is_empty() {
                continue;
            }
            statement["Action"] = left.into();
        }
        kept.push(statement);
    }
    json!({ "Version": policy["Version"], "Statement": kept })
}

/// The writer of a secret cannot change which secrets are administrators': the deployment lists them.
#[tokio::test]
async fn the_functions_environment_lists_the_administrators_secrets() {
    let deployed = Deployed::new(&[]).await;
    let variables = &deployed.resources["Function"]["Properties"]["Environment"]["Variables"];
    let listed = variables["ADMINISTRATOR_SECRETS"].as_str().unwrap();
    let administrators =
        [deployed.world.admin(), MASTER].map(|name| common::arn(&deployed.world, name));
    assert_eq!(listed, administrators.join(","));
    assert!(
        listed
            .parse::<secret_rotation::settings::Administrators>()
            .is_ok()
    );
}

#[tokio::test]
async fn the_role_is_enough_for_rotation_rollback_revocation_and_the_age_check() {
    let in_vpc_with_key = Deployed::new(&[]).await;
    let with_the_services_own_key = Deployed::with(crate::world().await, &[]);
    for deployed in [in_vpc_with_key, with_the_services_own_key] {
        let world = &deployed.world;
        world.set_function_role(&[deployed.role()]).unwrap();
        for secret in rotated(world) {
            for _ in 0..2 {
                let rotation = common::rotate(world, secret).await;
                assert!(rotation.succeeded, "{secret}: {rotation:?}");
                if secret == world.alternating_users() {
                    common::rollback(world, secret).await.unwrap();
                }
                common::revoke(world, secret).await.unwrap();
            }
        }
        let check = json!({ "Check": "age" });
        world.function().invoke(check).await.outcome.unwrap();
    }
}

#[tokio::test]
async fn without_one_of_the_rights_a_named_step_fails_and_with_it_the_rotation_continues() {
    let deployed = Deployed::new(&[]).await;
    let role = deployed.role();
    let world = &deployed.world;
    for statement in statements(&role) {
        let sid = statement["Sid"].as_str().unwrap();
        if UNPROVEN.iter().any(|(unproven, _)| *unproven == sid) {
            continue;
        }
        let actions = actions(statement);
        let each = actions.iter().map(|action| Some(action.as_str()));
        for gone in each.chain([None]) {
            let row = FAILS
                .iter()
                .find(|row| row.0 == sid && gone.is_none_or(|gone| row.1 == gone));
            let Some((_, action, work, step)) = row else {
                panic!(
                    "nothing here needs {gone:?} of the statement {sid}: take it out, or say what does"
                )
            };
            let token = Uuid::new_v4().to_string();
            work.stage(&deployed, &token);
            let less = without(&role, sid, gone);
            world.set_function_role(&[less]).unwrap();
            let Err((failed, message)) = work.run(&deployed, &token).await else {
                panic!("it works without {gone:?} of the statement {sid}: take it out")
            };
            assert_eq!(failed, *step, "without {gone:?} of {sid}: {message}");
            let named = match action.starts_with("kms:") {
                true => "Access to KMS is not allowed",
                false => action,
            };
            let says_so = message.contains(named);
            assert!(says_so, "without {gone:?} of {sid}: {message}");

            world.set_function_role(from_ref(&role)).unwrap();
            work.run(&deployed, &token).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_functions_own_policy_admits_secrets_manager_and_without_it_nothing_rotates() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    let service = world.secrets_manager();
    // CloudFormation makes a policy statement of it
    let permission = &deployed.resources["SecretsManagerInvokes"]["Properties"];
    let statement = |account: &Value| {
        json!({
            "Effect": "Allow", "Principal": { "Service": permission["Principal"] },
            "Action": permission["Action"], "Resource": world.function().arn(),
            "Condition": { "StringEquals": { "AWS:SourceAccount": account } },
        })
    };
    for refused in [vec![], vec![statement(&"210987654321".into())]] {
        world.function().set_policy(refused);
        let error = service.rotate(world.single_user()).await.unwrap_err();
        assert!(
            error
                .message
                .contains("cannot invoke the specified Lambda function"),
            "{error}"
        );
    }
    let allowed = statement(&permission["SourceAccount"]);
    world.function().set_policy(vec![allowed]);
    assert!(service.rotate(world.single_user()).await.unwrap().succeeded);
}

/// The local world has no KMS, so this tests only the policy's decision.
#[tokio::test]
async fn the_keys_work_only_for_secrets_manager_and_for_secrets_of_this_account_and_region() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    let policy = Policy::parse(&deployed.role()).unwrap();
    let service = "secretsmanager.us-east-1.amazonaws.com";
    let (secret, admin) = (
        common::arn(world, world.single_user()),
        common::arn(world, world.admin()),
    );
    for (action, via, secret, decision) in [
        (
            "kms:GenerateDataKey",
            Some(service),
            secret.as_str(),
            Decision::Allowed,
        ),
        ("kms:Decrypt", Some(service), &secret, Decision::Allowed),
        ("kms:Decrypt", Some(service), &admin, Decision::Allowed),
        (
            "kms:Decrypt",
            Some(service),
            &secret.replace("123456789012", "210987654321"),
            Decision::NotAllowed,
        ),
        (
            "kms:Decrypt",
            Some(service),
            &secret.replace("us-east-1", "eu-west-1"),
            Decision::NotAllowed,
        ),
        (
            "kms:Decrypt",
            Some("rds.us-east-1.amazonaws.com"),
            &secret,
            Decision::NotAllowed,
        ),
        ("kms:Decrypt", None, &secret, Decision::NotAllowed),
        ("kms:Decrypt", None, &admin, Decision::NotAllowed),
        ("kms:Encrypt", Some(service), &secret, Decision::NotAllowed),
    ] {
        let mut keys = Keys::default();
        keys.set("kms:ViaService", via);
        keys.set("kms:EncryptionContext:SecretARN", [secret]);
        let request = Request {
            action,
            resource: KEY,
            keys: &keys,
        };
        let decided = decide(from_ref(&policy), &request);
        assert_eq!(decided, Ok(decision), "{action} {via:?} {secret}");
    }
}

#[tokio::test]
async fn only_the_rights_that_lambda_itself_needs_are_not_proven_here() {
    let deployed = Deployed::new(&[]).await;
    let role = deployed.role();
    let named = |sid: &str| FAILS.iter().any(|(proven, ..)| *proven == sid);
    let all = statements(&role)
        .iter()
        .map(|statement| statement["Sid"].as_str().unwrap());
    let unproven: Vec<&str> = all.filter(|sid| !named(sid)).collect();
    assert_eq!(unproven, UNPROVEN.map(|(sid, _)| sid));
}

#[tokio::test]
async fn the_role_may_do_nothing_else() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    deployed.restrict("function", &deployed.role());
    let other = json!({ "Name": "other", "SecretString": "x" });
    common::call(world, "CreateSecret", other).await;

    for (secret, allowed) in [
        ("other", &["ListSecrets"][..]),
        (world.admin(), &["GetSecretValue", "ListSecrets"]),
        (
            world.single_user(),
            &[
                "DescribeSecret",
                "GetSecretValue",
                "ListSecrets",
                "PutSecretValue",
                "UpdateSecretVersionStage",
            ],
        ),
    ] {
        assert_eq!(
            deployed.allowed("function", secret).await,
            allowed,
            "{secret}"
        );
    }
    let event = json!({ "Check": "age" });
    let (code, message) = deployed.invoke("function", event).await.unwrap_err();
    assert_eq!(code, "AccessDeniedException");
    assert!(message.contains("lambda:InvokeFunction"), "{message}");
}

#[tokio::test]
async fn a_secret_of_another_function_cannot_be_read() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    deployed.restrict("function", &deployed.role());
    let other = format!("{}-2", world.function().arn());
    world
        .secrets_manager()
        .configure_rotation(world.single_user(), &other, 30)
        .unwrap();
    assert_eq!(
        deployed.allowed("function", world.single_user()).await,
        ["ListSecrets"]
    );
}

#[tokio::test]
async fn a_secret_that_is_assigned_to_the_function_rotates_without_a_deployment() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    world.set_function_role(&[deployed.role()]).unwrap();
    let value = common::current(world, world.single_user()).await;
    let new = json!({ "Name": "new/db", "SecretString": value.to_string() });
    common::call(world, "CreateSecret", new).await;
    give_key(world, "new/db", KEY).await;
    world
        .secrets_manager()
        .configure_rotation("new/db", &world.function().arn(), 30)
        .unwrap();
    let rotation = common::rotate(world, "new/db").await;
    assert!(rotation.succeeded, "{rotation:?}");
}

#[tokio::test]
async fn another_key_cannot_be_used_and_neither_can_this_one_in_another_region() {
    let deployed = Deployed::new(&[]).await;
    let world = &deployed.world;
    deployed.restrict("function", &deployed.role());
    let read = || {
        deployed.call(
            "function",
            "GetSecretValue",
            json!({ "SecretId": world.single_user() }),
        )
    };
    read().await.unwrap();
    for key in [
        KEY.replace("us-east-1", "eu-west-1"),
        KEY.replace("1234abcd", "4321abcd"),
    ] {
        give_key(world, world.single_user(), &key).await;
        let (code, message) = read().await.unwrap_err();
        assert_eq!(code, "AccessDeniedException");
        assert_eq!(message, "Access to KMS is not allowed");
    }
}
