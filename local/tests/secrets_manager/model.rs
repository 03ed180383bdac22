//! Every constraint of the API's published model, which AWS's SDK for Python carries, broken once.

use std::process::Command;

use serde_json::{Map, Value, json};

use super::{World, common::post, serve_without_function};

/// In the model, newer ones than the first three in its latest editions only, and refused by name.
const NOT_SERVED: [&str; 5] = [
    "Type",
    "ExternalSecretRotationMetadata",
    "ExternalSecretRotationRoleArn",
    "CrossAccountPrimaryARN",
    "PolicyName",
];

/// The same of whole operations.
const UNKNOWN: [&str; 3] = [
    "AssociateCrossAccountReplica",
    "DisassociateCrossAccountReplica",
    "ListResourcePolicies",
];

struct Model(Value);

impl Model {
    fn published() -> Self {
        let script = "import json, botocore.loaders\n\
                      print(json.dumps(botocore.loaders.Loader().load_service_model('secretsmanager', 'service-2')))";
        let output = Command::new("python3").args(["-c", script]).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{said}: `make test` installs botocore, or: pip install boto3"
        );
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The operations, each with the shape of its request.
    fn operations(&self) -> impl Iterator<Item = (&str, &Value)> {
        let operations = self.0["operations"].as_object().unwrap();
        operations
            .iter()
            .map(|(name, operation)| (name.as_str(), self.shape(&operation["input"])))
            .filter(|(name, _)| !UNKNOWN.contains(name))
    }

    fn shape(&self, named: &Value) -> &Value {
        &self.0["shapes"][named["shape"].as_str().unwrap()]
    }

    fn members<'a>(&'a self, structure: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let members = structure["members"].as_object().unwrap();
        let members = members
            .iter()
            .map(|(name, member)| (name.as_str(), self.shape(member)));
        members.collect()
    }

    /// A value of a shape that breaks none of its constraints.
    fn valid(&self, name: &str, shape: &Value) -> Value {
        match shape["type"].as_str().unwrap() {
            "structure" => {
                let members = self.members(shape).into_iter();
                let fields =
                    members.map(|(name, shape)| (name.to_owned(), self.valid(name, shape)));
                Value::Object(fields.collect())
            }
            "list" => json!([self.valid(name, self.shape(&shape["member"]))]),
            "boolean" => json!(true),
            "integer" | "long" => shape.get("min").cloned().unwrap_or(json!(7)),
            "blob" => json!("AAAA"),
            "string" => match (shape.get("enum"), name) {
                (Some(choices), _) => choices[0].clone(),
                (None, "Region" | "RemoveReplicaRegions") => json!("eu-west-1"),
                (None, "Duration") => json!("1h"),
                (None, _) => json!("a".repeat(usize_of(shape, "min").unwrap_or(1).max(1))),
            },
            other => panic!("the model has a {other}, which this test does not know"),
        }
    }

    /// A request with the members that it cannot be without.
    fn needed(&self, input: &Value) -> Map<String, Value> {
        let required = input["required"].as_array().map_or(&[][..], Vec::as_slice);
        let members = self.members(input).into_iter();
        members
            .filter(|(name, _)| required.contains(&json!(name)))
            .map(|(name, shape)| (name.to_owned(), self.valid(name, shape)))
            .collect()
    }

    /// The values that break one constraint of a shape each, or of what is in it.
    fn broken(&self, name: &str, shape: &Value) -> Vec<Value> {
        let (min, max) = (usize_of(shape, "min"), usize_of(shape, "max"));
        let of_length = |length: usize| match shape["type"].as_str().unwrap() {
            "blob" => json!("AAAA".repeat(length.div_ceil(3))),
            "list" => json!(vec![self.valid(name, self.shape(&shape["member"])); length]),
            "string" => json!("a".repeat(length)),
            // a number is its own length
            _ => json!(length),
        };
        let below = min.filter(|min| *min > 0).map(|min| of_length(min - 1));
        let above = max.map(|max| of_length(max + 1));
        let mut broken: Vec<Value> = below.into_iter().chain(above).collect();
        if shape.get("pattern").is_some() {
            broken.push(json!("§".repeat(min.unwrap_or(1).max(1))));
        }
        if shape.get("enum").is_some() {
            broken.push(json!("another"));
        }
        match shape["type"].as_str().unwrap() {
            "list" => {
                let of = self.shape(&shape["member"]);
                broken.extend(
                    self.broken(name, of)
                        .into_iter()
                        .map(|value| json!([value])),
                );
            }
            "structure" => {
                let valid = self.valid(name, shape);
                for (name, member) in self.members(shape) {
                    for value in self.broken(name, member) {
                        let mut structure = valid.clone();
                        structure[name] = value;
                        broken.push(structure);
                    }
                }
            }
            _ => {}
        }
        broken
    }
}

async fn raw(world: &World, operation: &str, request: &Map<String, Value>) -> String {
    let headers = format!("X-Amz-Target: secretsmanager.{operation}\r\n");
    let body = Value::Object(request.clone()).to_string();
    post(world.address, "/", &headers, &body).await
}

fn usize_of(shape: &Value, bound: &str) -> Option<usize> {
    shape.get(bound)?.as_u64()?.try_into().ok()
}

#[tokio::test]
async fn each_constraint_of_the_published_model_is_kept() {
    let model = Model::published();
    let world = serve_without_function().await;
    world.create("demo", "one").await;
    let mut calls = 0;
    for (operation, input) in model.operations() {
        let members = model.members(input);
        let valid = model.needed(input);
        for (name, shape) in &members {
            let mut request = valid.clone();
            if request.remove(*name).is_some() {
                let told = raw(&world, operation, &request).await;
                assert!(
                    told.contains("ValidationException"),
                    "{operation} without {name}: {told}"
                );
                assert!(
                    told.contains("must not be null"),
                    "{operation} without {name}: {told}"
                );
                calls += 1;
            }
            let expected = match *name {
                name if NOT_SERVED.contains(&name) => "NotServedByLocalSecretsManager",
                "ClientRequestToken" => "InvalidParameterException",
                _ => "ValidationException",
            };
            for value in model.broken(name, shape) {
                request.insert((*name).to_owned(), value.clone());
                let told = raw(&world, operation, &request).await;
                let shown: String = value.to_string().chars().take(80).collect();
                assert!(
                    told.contains(expected),
                    "{operation} with {name} {shown}: {told}"
                );
                calls += 1;
            }
        }
    }
    assert!(calls > 150, "{calls} calls, so the model was hardly read");
}

#[tokio::test]
async fn every_operation_refuses_a_name_that_no_secret_can_have() {
    let model = Model::published();
    let world = serve_without_function().await;
    let mut operations = 0;
    for (operation, input) in model.operations() {
        let mut request = model.needed(input);
        let members = model.members(input);
        let has = |wanted: &str| members.iter().any(|(name, _)| *name == wanted);
        let Some(names) = ["Name", "SecretId"].into_iter().find(|name| has(name)) else {
            continue;
        };
        request.insert(names.to_owned(), json!("Inv Name"));
        if has("ClientRequestToken") {
            request.insert("ClientRequestToken".to_owned(), json!("a".repeat(32)));
        }
        let told = raw(&world, operation, &request).await;
        assert!(
            told.contains("ValidationException"),
            "{operation} {request:?}: {told}"
        );
        assert!(
            told.contains("Invalid name. Must be a valid name"),
            "{operation} {request:?}: {told}"
        );
        operations += 1;
    }
    assert!(operations > 15, "only {operations} name a secret");
}

#[tokio::test]
async fn an_unsupported_member_is_refused_by_name() {
    let world = serve_without_function().await;
    for (operation, request, member) in [
        (
            "CreateSecret",
            json!({ "Name": "demo", "Type": "BigIDClientCredentials" }),
            "Type",
        ),
        (
            "RotateSecret",
            json!({ "SecretId": "demo", "RotationRules": { "Every": 3 } }),
            "rotationRules.Every",
        ),
        (
            "DescribeSecret",
            json!({ "SecretId": "demo", "Secretid": "demo" }),
            "Secretid",
        ),
    ] {
        let refused = world.service.call(operation, request).await.unwrap_err();
        assert_eq!(refused.code, "NotServedByLocalSecretsManager");
        assert!(
            refused.message.contains(&format!("member {member} ")),
            "{refused}"
        );
    }
    assert!(world.service.arn("demo").is_none(), "nothing was made");
}

#[tokio::test]
async fn one_error_names_everything_that_is_wrong_and_no_secret() {
    let world = serve_without_function().await;
    let request = json!({ "SecretId": "", "SecretString": "", "RotationToken": "of a rotation", "VersionStages": [] });
    let refused = world
        .service
        .call("PutSecretValue", request)
        .await
        .unwrap_err();
    assert_eq!(refused.code, "ValidationException");
    assert!(
        refused
            .message
            .starts_with("5 validation errors detected: "),
        "{refused}"
    );
    assert!(!refused.message.contains("of a rotation"), "{refused}");
}
