//! The SAM template's policies, enforced by the local world: each is enough for its purpose, and each right in it is necessary.

#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;
mod function;
mod people;
mod template;

use std::collections::BTreeMap;

use local::{
    secrets_manager::operations,
    world::{REGION, World},
};
use serde_json::{Value, json};
use template::Template;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

/// The customer's KMS key that encrypts the secrets.
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// The secret that mints API keys; `masterarn` names it.
const MASTER: &str = "demo/mail/master";

/// A region with replicas.
const ELSEWHERE: &str = "eu-west-1";

/// A world, and the template as it would be deployed for its secrets.
struct Deployed {
    world: World,
    resources: BTreeMap<String, Value>,
}

impl Deployed {
    /// With all secrets under the customer's key, in a VPC, and with these parameters.
    async fn new(more: &[(&str, &str)]) -> Self {
        let world = world().await;
        for secret in rotated(&world).into_iter().chain([world.admin(), MASTER]) {
            give_key(&world, secret, KEY).await;
        }
        let mut parameters = vec![("KmsKeyArns", KEY), ("VpcId", "vpc-1")];
        parameters.extend(more);
        Self::with(world, &parameters)
    }

    fn with(world: World, more: &[(&str, &str)]) -> Self {
        let arns = |secrets: &[&str]| {
            let arns: Vec<String> = secrets
                .iter()
                .map(|secret| common::arn(&world, secret))
                .collect();
            arns.join(",")
        };
        let (secrets, administrators) = (arns(&rotated(&world)), arns(&[world.admin(), MASTER]));
        let mut parameters = vec![
            ("SecretArns", secrets.as_str()),
            ("AdministratorSecretArns", &administrators),
        ];
        parameters.extend(more);
        let resources = Template::sam(&parameters).resources();
        Self { world, resources }
    }

    /// The only policy document of the function's role.
    fn role(&self) -> Value {
        let role = &self.resources["FunctionRole"]["Properties"];
        assert!(role["ManagedPolicyArns"].is_null());
        let policies = role["Policies"].as_array().unwrap();
        assert_eq!(policies.len(), 1);
        policies[0]["PolicyDocument"].clone()
    }

    /// From now on, calls with this key have this policy.
    fn restrict(&self, access_key_id: &str, policy: &Value) {
        let policies = [policy.clone()];
        self.world
            .iam()
            .restrict(access_key_id, access_key_id, &policies)
            .unwrap();
    }

    /// An operation of Secrets Manager, called with this key: its answer, or its error's code and message.
    async fn call(
        &self,
        access_key_id: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, (String, String)> {
        self.call_in(REGION, access_key_id, operation, input).await
    }

    /// The same in another region.
    async fn call_in(
        &self,
        region: &str,
        access_key_id: &str,
        operation: &str,
        mut input: Value,
    ) -> Result<Value, (String, String)> {
        // as SDKs do
        if [
            "CreateSecret",
            "PutSecretValue",
            "RotateSecret",
            "UpdateSecret",
        ]
        .contains(&operation)
        {
            input["ClientRequestToken"] = Uuid::new_v4().to_string().into();
        }
        let target = format!("X-Amz-Target: secretsmanager.{operation}\r\n");
        let scope = format!("{access_key_id}/20260101/{region}");
        post(&self.world, &scope, "/", &target, input).await
    }

    /// The function, invoked with this key.
    async fn invoke(&self, access_key_id: &str, event: Value) -> Result<Value, (String, String)> {
        let path = "/2015-03-31/functions/secret-rotation/invocations";
        let scope = format!("{access_key_id}/20260101/{REGION}");
        post(&self.world, &scope, path, "", event).await
    }

    /// Whether the policies allow the role of this key an operation on a secret, regardless of the operation's result.
    async fn lets_through(&self, access_key_id: &str, operation: &str, secret: &str) -> bool {
        let id = common::arn(&self.world, secret);
        let input = match operation {
            "CreateSecret" => json!({ "Name": "new", "SecretString": "x" }),
            "ListSecrets" | "GetRandomPassword" => json!({}),
            "BatchGetSecretValue" => json!({ "SecretIdList": [id] }),
            "PutSecretValue" => json!({ "SecretId": id, "SecretString": "x" }),
            "PutResourcePolicy" | "ValidateResourcePolicy" => {
                json!({ "SecretId": id, "ResourcePolicy": "none" })
            }
            "RemoveRegionsFromReplication" => {
                json!({ "SecretId": id, "RemoveReplicaRegions": [ELSEWHERE] })
            }
            "ReplicateSecretToRegions" => {
                json!({ "SecretId": id, "AddReplicaRegions": [{ "Region": ELSEWHERE }] })
            }
            "TagResource" => json!({ "SecretId": id, "Tags": [] }),
            "UntagResource" => json!({ "SecretId": id, "TagKeys": [] }),
            "UpdateSecretVersionStage" => json!({ "SecretId": id, "VersionStage": "OWN" }),
            _ => json!({ "SecretId": id }),
        };
        match self.call(access_key_id, operation, input).await {
            Err((code, message)) if code == "AccessDeniedException" => {
                assert!(message.contains(operation), "{message}");
                false
            }
            // a refusal before the policy check says nothing about the role
            Err((code, message))
                if code.starts_with("Unjudged") || code == "ValidationException" =>
            {
                panic!("{operation}: {message}")
            }
            _ => true,
        }
    }

    /// All operations on a secret that the policies allow the role of this key.
    async fn allowed(&self, access_key_id: &str, secret: &str) -> Vec<&'static str> {
        let mut allowed = Vec::new();
        for operation in operations() {
            if self.lets_through(access_key_id, operation, secret).await {
                allowed.push(operation);
            }
        }
        allowed
    }
}

/// With a PostgreSQL, and a service whose API key rotates.
async fn world() -> World {
    common::start(common::options().with_key_service()).await
}

/// The secrets that the function rotates.
fn rotated(world: &World) -> [&'static str; 3] {
    [
        world.single_user(),
        world.alternating_users(),
        world.api_key(),
    ]
}

/// Puts a secret under a key.
async fn give_key(world: &World, secret: &str, key: &str) {
    let input = json!({ "SecretId": secret, "KmsKeyId": key });
    common::call(world, "UpdateSecret", input).await;
}

async fn post(
    world: &World,
    scope: &str,
    path: &str,
    headers: &str,
    body: Value,
) -> Result<Value, (String, String)> {
    let address = world.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: aws\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\
         Authorization: AWS4-HMAC-SHA256 Credential={scope}/any/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    if head.starts_with("HTTP/1.1 200") {
        return Ok(body);
    }
    let code = head
        .lines()
        .find_map(|line| line.strip_prefix("x-amzn-errortype: "));
    let message = body["message"].as_str().or(body["Message"].as_str());
    Err((
        code.unwrap_or_default().to_owned(),
        message.unwrap_or_default().to_owned(),
    ))
}
