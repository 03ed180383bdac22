//! Who may do what, asked over HTTP with the SDK: the local world enforces the policies of a role.

#![cfg(test)]

mod common;

use std::{net::SocketAddr, sync::Arc};

use aws_sdk_secretsmanager::{
    Client,
    config::retry::RetryConfig,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        describe_secret::{DescribeSecretError, DescribeSecretOutput},
        get_secret_value::{GetSecretValueError, GetSecretValueOutput},
    },
    types::{RotationRulesType, Tag},
};
use common::{REGION, refused, serve, service};
use local::secrets_manager::SecretsManager;
use serde_json::{Value, json};

const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:rotate";
/// As recorded.
const CANNOT_INVOKE: &str = "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants \
                             access to the principal secretsmanager.amazonaws.com.";
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const TOKEN: &str = "11111111-2222-4333-8444-555555555555";

struct World {
    service: SecretsManager,
    address: SocketAddr,
}

impl World {
    /// With the secrets `open`, under the service's own key, and `locked`, under a customer's.
    async fn start() -> Self {
        let service = service();
        let address = serve(service.router()).await;
        for (name, key) in [("open", Value::Null), ("locked", KEY.into())] {
            let tags = json!([{ "Key": "team", "Value": "orders" }]);
            let input = json!({ "Name": name, "SecretString": "x", "KmsKeyId": key, "Tags": tags });
            service.call("CreateSecret", input).await.unwrap();
        }
        service.configure_rotation("open", FUNCTION, 30).unwrap();
        Self { service, address }
    }

    fn arn(&self, secret: &str) -> String {
        self.service.arn(secret).unwrap()
    }

    /// A client whose calls are those of a role with these statements.
    fn role(&self, statements: Value) -> Client {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        let iam = self.service.iam();
        iam.restrict("AKIAROLE", "orders", &[policy]).unwrap();
        self.client("AKIAROLE")
    }

    fn client(&self, access_key_id: &str) -> Client {
        common::client(self.address, access_key_id, RetryConfig::disabled())
    }
}

async fn read(
    client: &Client,
    secret: &str,
) -> Result<GetSecretValueOutput, SdkError<GetSecretValueError>> {
    client.get_secret_value().secret_id(secret).send().await
}

async fn describe(
    client: &Client,
    secret: &str,
) -> Result<DescribeSecretOutput, SdkError<DescribeSecretError>> {
    client.describe_secret().secret_id(secret).send().await
}

fn allow(action: impl Into<Value>, resource: impl Into<Value>) -> Value {
    json!({ "Effect": "Allow", "Action": action.into(), "Resource": resource.into() })
}

/// The message of an answer that has to be a denial.
#[track_caller]
fn denied<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    let (code, message) = refused(result);
    assert_eq!(code, "AccessDeniedException", "{message}");
    message
}

#[tokio::test]
async fn a_role_may_do_what_its_policy_allows_and_nothing_else() {
    let world = World::start().await;
    let arn = world.arn("open");
    let client = world.role(allow("secretsmanager:GetSecretValue", arn.as_str()));

    let value = read(&client, "open").await.unwrap().secret_string;
    assert_eq!(value.unwrap(), "x");

    assert_eq!(
        denied(describe(&client, &arn).await),
        format!(
            "User: arn:aws:sts::123456789012:assumed-role/orders/local is not authorized to perform: \
             secretsmanager:DescribeSecret on resource: {arn} because no identity-based policy allows the \
             secretsmanager:DescribeSecret action"
        )
    );
    denied(read(&client, "locked").await);
}

#[tokio::test]
async fn an_unrestricted_key_may_do_everything() {
    let world = World::start().await;
    world.role(json!([]));
    let client = world.client("AKIAOTHER");
    describe(&client, "open").await.unwrap();
    read(&client, "locked").await.unwrap();
}

#[tokio::test]
async fn a_deny_wins_and_its_error_differs_from_a_missing_allow() {
    let world = World::start().await;
    let deny = json!({ "Effect": "Deny", "Action": "secretsmanager:Delete*", "Resource": "*" });
    let client = world.role(json!([allow("*", "*"), deny]));
    describe(&client, "open").await.unwrap();
    let message = denied(client.delete_secret().secret_id("open").send().await);
    let told = message.ends_with("with an explicit deny in an identity-based policy");
    assert!(told, "{message}");
    assert!(world.service.arn("open").is_some());
}

#[tokio::test]
async fn a_list_has_no_resource_and_a_policy_on_an_arn_does_not_allow_it() {
    let world = World::start().await;
    let client = world.role(allow("secretsmanager:*", world.arn("open")));
    let message = denied(client.list_secrets().send().await);
    let told = message.contains("secretsmanager:ListSecrets because");
    assert!(told, "{message}");
    let client = world.role(allow("secretsmanager:ListSecrets", "*"));
    let listed = client.list_secrets().send().await.unwrap();
    assert_eq!(listed.secret_list().len(), 2);
}

#[tokio::test]
async fn without_the_right_to_see_a_secret_its_absence_is_not_shown() {
    let world = World::start().await;
    let client = world.role(allow("secretsmanager:*", world.arn("open")));
    denied(read(&client, "absent").await);
    let client = world.role(allow("secretsmanager:*", "*"));
    let (code, _) = refused(read(&client, "absent").await);
    assert_eq!(code, "ResourceNotFoundException");
}

#[tokio::test]
async fn conditions_see_the_secret_and_the_request() {
    let world = World::start().await;
    for (key, value, allowed) in [
        (
            "secretsmanager:resource/AllowRotationLambdaArn",
            FUNCTION,
            true,
        ),
        (
            "secretsmanager:resource/AllowRotationLambdaArn",
            "arn:aws:lambda:x",
            false,
        ),
        ("secretsmanager:VersionStage", "AWSCURRENT", true),
        ("secretsmanager:VersionStage", "AWSPENDING", false),
        ("secretsmanager:ResourceTag/team", "orders", true),
        ("aws:ResourceTag/team", "stock", false),
        ("aws:RequestedRegion", REGION, true),
        ("secretsmanager:SecretId", "open", true),
        ("secretsmanager:VersionId", "any", false),
    ] {
        let mut statement = allow("secretsmanager:GetSecretValue", "*");
        statement["Condition"] = json!({ "StringEquals": { key: value } });
        let client = world.role(statement);
        let request = client.get_secret_value().secret_id("open");
        let read = request.version_stage("AWSCURRENT").send().await;
        assert_eq!(read.is_ok(), allowed, "{key} {value}");
    }
}

#[tokio::test]
async fn a_statement_with_an_unknown_condition_key_neither_allows_nor_denies() {
    let world = World::start().await;
    let mut statement = allow("*", "*");
    statement["Condition"] = json!({ "StringNotEquals": { "aws:SourceVpc": "vpc-1" } });
    let client = world.role(statement);
    let (code, message) = refused(read(&client, "open").await);
    assert_eq!(code, "UnjudgedByLocalIam");
    assert!(message.contains("aws:SourceVpc"), "{message}");
}

#[tokio::test]
async fn a_policy_with_an_unknown_operator_is_refused() {
    let world = World::start().await;
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": {
            "Sid": "Recent", "Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": { "DateLessThan": { "aws:CurrentTime": "2030-01-01T00:00:00Z" } },
        },
    });
    let iam = world.service.iam();
    let error = iam.restrict("AKIAROLE", "orders", &[policy]).unwrap_err();
    let advice = "the statement Recent has the condition operator DateLessThan";
    assert!(error.to_string().contains(advice), "{error}");
}

#[tokio::test]
async fn a_customer_managed_key_must_also_be_allowed_for_this_service_and_secret() {
    let world = World::start().await;
    let arn = world.arn("locked");
    let on_the_key = |region: &str, secret: &str, key: &str| {
        let mut statement = allow(["kms:Decrypt", "kms:GenerateDataKey"].to_vec(), key);
        statement["Condition"] = json!({ "StringEquals": {
            "kms:ViaService": format!("secretsmanager.{region}.amazonaws.com"),
            "kms:EncryptionContext:SecretARN": secret,
        } });
        statement
    };
    let other_region = KEY.replace(REGION, "us-east-1");
    for (statement, allowed) in [
        (json!([]), false),
        (on_the_key(REGION, &arn, KEY), true),
        (on_the_key("us-east-1", &arn, KEY), false),
        (on_the_key(REGION, &world.arn("open"), KEY), false),
        (on_the_key(REGION, &arn, &other_region), false),
        (allow("kms:GenerateDataKey", KEY), false),
    ] {
        let mut statements = vec![allow("secretsmanager:*", "*")];
        statements.extend(statement.is_object().then_some(statement.clone()));
        let client = world.role(statements.into());
        let answer = read(&client, "locked").await;
        assert_eq!(answer.is_ok(), allowed, "{statement}");
        if !allowed {
            assert_eq!(denied(answer), "Access to KMS is not allowed");
        }
        // the service's own key is everyone's
        read(&client, "open").await.unwrap();
    }
}

#[tokio::test]
async fn a_write_needs_a_data_key_and_decrypts_only_to_compare_or_to_test_a_new_key() {
    let world = World::start().await;
    let put = |client: &Client| {
        let request = client.put_secret_value().secret_id("locked");
        let request = request.client_request_token(TOKEN).secret_string("y");
        request.version_stages("AWSPENDING").send()
    };
    let give_key = |client: &Client| {
        let request = client.update_secret().secret_id("open");
        request.kms_key_id(KEY).send()
    };
    let with = |action: &str| {
        let key = allow(action, KEY);
        world.role(json!([allow("secretsmanager:*", "*"), key]))
    };
    let message = denied(put(&with("kms:Decrypt")).await);
    assert_eq!(message, "Access to KMS is not allowed");
    let client = with("kms:GenerateDataKey");
    put(&client).await.unwrap();
    refused(put(&client).await);
    put(&with("kms:*")).await.unwrap();

    refused(give_key(&with("kms:GenerateDataKey")).await);
    give_key(&with("kms:*")).await.unwrap();
}

#[tokio::test]
async fn a_batch_decides_for_each_secret_whether_it_may_be_read() {
    let world = World::start().await;
    let batch = |client: &Client| {
        client
            .batch_get_secret_value()
            .secret_id_list("open")
            .secret_id_list("locked")
            .send()
    };
    let one = allow("secretsmanager:GetSecretValue", world.arn("open"));
    denied(batch(&world.role(one.clone())).await);
    let many = allow("secretsmanager:BatchGetSecretValue", "*");
    let both = allow("secretsmanager:GetSecretValue", "*");
    for (allowed, said) in [
        (
            one,
            "is not authorized to perform: secretsmanager:GetSecretValue",
        ),
        (both, "Access to KMS is not allowed"),
    ] {
        let answer = batch(&world.role(json!([allowed, many]))).await.unwrap();
        assert_eq!(answer.secret_values().len(), 1);
        let error = &answer.errors()[0];
        assert_eq!(error.error_code(), Some("AccessDeniedException"));
        assert!(error.message().unwrap().contains(said), "{error:?}");
    }
}

#[tokio::test]
async fn a_rotation_needs_the_right_to_invoke_the_function() {
    let world = World::start().await;
    let rotate = allow("secretsmanager:RotateSecret", "*");
    let client = world.role(rotate.clone());
    let message = denied(client.rotate_secret().secret_id("open").send().await);
    let right = format!("lambda:InvokeFunction on resource: {FUNCTION}");
    assert!(message.contains(&right), "{message}");
    let client = world.role(json!([rotate, allow("lambda:InvokeFunction", FUNCTION)]));
    let rotated = client.rotate_secret().secret_id("open").send().await;
    rotated.unwrap();
}

#[tokio::test]
async fn a_function_that_does_not_admit_the_service_rotates_nothing() {
    let world = World::start().await;
    let statement = |account: &str| {
        json!({
            "Effect": "Allow", "Principal": { "Service": "secretsmanager.amazonaws.com" },
            "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
            "Condition": { "StringEquals": { "AWS:SourceAccount": account } },
        })
    };
    let client = world.client("AKIAANY");
    for (statements, allowed) in [
        (None, false),
        (Some(vec![]), false),
        (Some(vec![statement("210987654321")]), false),
        (Some(vec![statement("123456789012")]), true),
    ] {
        let policy = statements.clone();
        world
            .service
            .look_at_functions(Arc::new(move |_| policy.clone()));
        let rules = RotationRulesType::builder().automatically_after_days(7);
        let rotate = client.rotate_secret().secret_id("open");
        let rotated = rotate.rotation_rules(rules.build()).send().await;
        assert_eq!(rotated.is_ok(), allowed, "{statements:?}");
        if !allowed {
            assert_eq!(denied(rotated), CANNOT_INVOKE);
            let described = client.describe_secret().secret_id("open").send().await;
            let rules = described.unwrap().rotation_rules.unwrap();
            assert_eq!(rules.automatically_after_days(), Some(30));
        }
    }
}

#[tokio::test]
async fn a_secret_can_be_created_only_with_an_allowed_name_and_allowed_tags() {
    let world = World::start().await;
    let named = format!("arn:aws:secretsmanager:{REGION}:123456789012:secret:team/*");
    let client = world.role(allow("secretsmanager:CreateSecret", named.as_str()));
    let create = |name: &str| client.create_secret().name(name).secret_string("x");
    create("team/orders").send().await.unwrap();
    denied(create("other/orders").send().await);
    let tag = Tag::builder().key("team").value("orders").build();
    let message = denied(create("team/stock").tags(tag).send().await);
    assert!(message.contains("secretsmanager:TagResource"), "{message}");
}

#[tokio::test]
async fn an_absent_function_leaves_the_rotation_as_it_was_configured() {
    let world = World::start().await;
    let statement = json!({
        "Effect": "Allow", "Principal": { "Service": "secretsmanager.amazonaws.com" },
        "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
    });
    let policies = move |arn: &str| (arn == FUNCTION).then(|| vec![statement.clone()]);
    world.service.look_at_functions(Arc::new(policies));
    let client = world.client("AKIAANY");
    let rotate = |function: &str| {
        let rotate = client.rotate_secret().secret_id("open");
        rotate.rotation_lambda_arn(function).send()
    };
    rotate(FUNCTION).await.unwrap();
    let another = FUNCTION.replace("123456789012", "210987654321");
    for function in ["secret-rotation", &format!("{FUNCTION}-2"), &another] {
        assert_eq!(denied(rotate(function).await), CANNOT_INVOKE);
        let described = client.describe_secret().secret_id("open").send().await;
        assert_eq!(described.unwrap().rotation_lambda_arn(), Some(FUNCTION));
    }
}
