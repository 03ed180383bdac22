//! The permissions that a caller needs for an operation: on the secret, its KMS key, and the function.
//!
//! Actions, resources and condition keys come from AWS's service authorization reference. The use of keys comes from the user
//! guide's page on encryption.

use serde_json::Value;

use super::{
    error::ServiceError,
    secret::{Secret, State, arn_in},
};
use crate::{
    iam::{
        ACCOUNT, Decision, Denied, Keys, Policy, PolicyError, Request, ResourcePolicy, Role, decide,
    },
    invocation::FunctionPolicies,
};

/// Checks all permissions of an operation, except those for each secret of a batch.
pub(super) fn authorize(
    caller: &Role,
    state: &State,
    operation: &str,
    input: &Value,
) -> Result<(), ServiceError> {
    let secret = text(input, "SecretId").and_then(|id| state.find(id).ok());
    let policy = secret.map_or(Ok(None), policy)?;
    let keys = keys(&state.region, operation, input, secret);
    let resource = resource(state, input, secret);
    let check = |operation: &str| {
        let action = format!("secretsmanager:{operation}");
        caller.check_with(policy.as_ref(), &action, &resource, &keys)
    };
    check(operation)?;
    match operation {
        // docs: these operations need the secret's key; the check comes before the effect
        "GetSecretValue" => decrypt(caller, &state.region, secret),
        "PutSecretValue" | "CreateSecret" | "UpdateSecret" => {
            if operation == "CreateSecret" && input.get("Tags").is_some() {
                check("TagResource")?;
            }
            if operation == "CreateSecret" && list(input, "AddReplicaRegions").next().is_some() {
                check("ReplicateSecretToRegions")?;
                encrypt_replicas(caller, input, &resource)?;
            }
            encrypt(caller, state, input, secret)
        }
        "ReplicateSecretToRegions" => {
            decrypt(caller, &state.region, secret)?;
            encrypt_replicas(caller, input, &resource)
        }
        "ValidateResourcePolicy" => Ok(check("PutResourcePolicy")?),
        "BatchGetSecretValue" if input.get("Filters").is_some() => {
            Ok(caller.check("secretsmanager:ListSecrets", "*", &keys)?)
        }
        // docs: "You also need lambda:InvokeFunction permissions on the rotation function."
        "RotateSecret" => match text(input, "RotationLambdaARN")
            .or_else(|| secret?.rotation_function.as_deref())
        {
            Some(function) => Ok(caller.check("lambda:InvokeFunction", function, &keys)?),
            None => Ok(()), // the operation refuses: no function
        },
        _ => Ok(()),
    }
}

/// Checks the permissions of a batch for each of its secrets.
pub(super) fn authorize_read(
    caller: &Role,
    region: &str,
    secret: &Secret,
) -> Result<(), ServiceError> {
    let keys = keys(region, "GetSecretValue", &Value::Null, Some(secret));
    let action = "secretsmanager:GetSecretValue";
    caller.check_with(policy(secret)?.as_ref(), action, &secret.arn, &keys)?;
    decrypt(caller, region, Some(secret))
}

/// Whether this policy on a secret would stop the caller from changing it again.
pub(super) fn locks_out(
    caller: &Role,
    state: &State,
    input: &Value,
    policy: &ResourcePolicy,
) -> Result<bool, ServiceError> {
    let secret = text(input, "SecretId").and_then(|id| state.find(id).ok());
    let action = "secretsmanager:PutResourcePolicy";
    let keys = keys(&state.region, "PutResourcePolicy", input, secret);
    let resource = resource(state, input, secret);
    match caller.check_with(Some(policy), action, &resource, &keys) {
        Ok(()) => Ok(false),
        Err(Denied::ByPolicy(_)) => Ok(true),
        Err(unjudged) => Err(unjudged.into()),
    }
}

/// Reads the policy of a secret.
pub(super) fn read_policy(written: &str) -> Result<ResourcePolicy, ServiceError> {
    let syntax_error = |error: &dyn std::fmt::Display| {
        ServiceError::malformed_policy(format!(
            "This resource policy contains a syntax error: {error}"
        ))
    };
    let document = serde_json::from_str(written).map_err(|error| syntax_error(&error))?;
    ResourcePolicy::parse(&document).map_err(|error| match &error {
        ours if ours.is_ours() => ServiceError::unjudged(error.to_string()),
        PolicyError::Principal { .. } => ServiceError::malformed_policy(format!(
            "This resource policy contains an unsupported principal: {error}"
        )),
        _ => syntax_error(&error),
    })
}

fn policy(secret: &Secret) -> Result<Option<ResourcePolicy>, ServiceError> {
    let written = secret.policy.as_deref();
    written.map(read_policy).transpose()
}

/// Checks that the function exists, and that its policy lets this service invoke it for this secret.
pub(super) fn authorize_invocation(
    policies: &FunctionPolicies,
    function: &str,
    secret_arn: &str,
) -> Result<(), ServiceError> {
    // recorded: the same answer for an invalid ARN, an absent function and a missing permission
    let refused = ServiceError::access_denied(
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the \
         principal secretsmanager.amazonaws.com.",
    );
    let Some(statements) = policies(function) else {
        return Err(refused);
    };
    let policy = Policy::towards("secretsmanager.amazonaws.com", &statements)
        .map_err(|error| ServiceError::unjudged(error.to_string()))?;
    let mut keys = Keys::default();
    keys.set("aws:SourceAccount", [ACCOUNT]);
    keys.set("aws:SourceArn", [secret_arn]);
    let request = Request {
        action: "lambda:InvokeFunction",
        resource: function,
        keys: &keys,
    };
    match decide(&[policy], &request).map_err(Denied::from)? {
        Decision::Allowed => Ok(()),
        _ => Err(refused),
    }
}

/// The secret's ARN, or the ARN that a secret of this name would have; `*` for a request without a secret.
fn resource(state: &State, input: &Value, secret: Option<&Secret>) -> String {
    if let Some(secret) = secret {
        return secret.arn.clone();
    }
    match text(input, "SecretId").or_else(|| text(input, "Name")) {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        // instead of the six random characters
        Some(name) => format!(
            "arn:aws:secretsmanager:{}:{ACCOUNT}:secret:{name}-??????",
            state.region
        ),
        None => "*".to_owned(),
    }
}

const OVERWRITES: &str = "ForceOverwriteReplicaSecret";

fn keys(region: &str, operation: &str, input: &Value, secret: Option<&Secret>) -> Keys {
    let mut keys = Keys::default();
    keys.set("aws:RequestedRegion", [region]);
    keys.set("aws:ResourceAccount", [ACCOUNT]);
    keys.set("secretsmanager:SecretId", text(input, "SecretId"));
    if let Some(secret) = secret {
        let function = secret.rotation_function.as_deref();
        keys.set("secretsmanager:resource/AllowRotationLambdaArn", function);
        keys.set(
            "secretsmanager:SecretPrimaryRegion",
            [secret.primary_region()],
        );
        for tag in secret.tags.iter().flatten() {
            keys.set(&format!("aws:ResourceTag/{}", tag.key), [&tag.value]);
            let key = format!("secretsmanager:ResourceTag/{}", tag.key);
            keys.set(&key, [&tag.value]);
        }
    }
    // the keys that only some operations have, by field of the request
    let fields: &[&str] = match operation {
        "GetSecretValue" => &["VersionId", "VersionStage"],
        "UpdateSecretVersionStage" => &["VersionStage"],
        "CreateSecret" => &["Name", "Description", "KmsKeyId", OVERWRITES],
        "ReplicateSecretToRegions" => &[OVERWRITES],
        "UpdateSecret" => &["Description", "KmsKeyId"],
        "DeleteSecret" => &["ForceDeleteWithoutRecovery"],
        "RotateSecret" => &["RotationLambdaARN", "RotateImmediately"],
        "PutResourcePolicy" => &["BlockPublicPolicy"],
        _ => &[],
    };
    for field in fields {
        let value = match input.get(field) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Bool(flag)) => Some(flag.to_string()),
            _ => None,
        };
        keys.set(&format!("secretsmanager:{field}"), value);
    }
    if operation == "RotateSecret" {
        let modifies = input.get("RotationRules").is_some().to_string();
        keys.set("secretsmanager:ModifyRotationRules", [modifies]);
    }
    let regions = list(input, "AddReplicaRegions").filter_map(|replica| text(replica, "Region"));
    keys.set("secretsmanager:AddReplicaRegions", regions);
    let tags: Vec<&Value> = list(input, "Tags").collect();
    for tag in &tags {
        if let (Some(key), Some(value)) = (text(tag, "Key"), text(tag, "Value")) {
            keys.set(&format!("aws:RequestTag/{key}"), [value]);
        }
    }
    let named = tags.into_iter().filter_map(|tag| text(tag, "Key"));
    let named = named.chain(list(input, "TagKeys").filter_map(Value::as_str));
    keys.set("aws:TagKeys", named);
    keys
}

/// The permission to decrypt with the secret's key.
fn decrypt(caller: &Role, region: &str, secret: Option<&Secret>) -> Result<(), ServiceError> {
    let key = secret.and_then(|secret| Some((secret.kms_key_id.as_deref()?, &secret.arn)));
    match key {
        Some((key, arn)) => use_key(caller, region, key, arn, &["kms:Decrypt"]),
        None => Ok(()), // everyone in the account may use the service's own key
    }
}

/// The permissions to write with the key in the request, or else with the secret's key.
fn encrypt(
    caller: &Role,
    state: &State,
    input: &Value,
    secret: Option<&Secret>,
) -> Result<(), ServiceError> {
    let arn = resource(state, input, secret);
    let writes = ["SecretString", "SecretBinary"]
        .iter()
        .any(|field| input.get(field).is_some());
    let named = text(input, "KmsKeyId").filter(|key| !key.is_empty());
    let actions: &[&str] = match named {
        // the service tests a new key both ways, even without a value
        Some(_) => &["kms:GenerateDataKey", "kms:Decrypt"],
        // the service decrypts the existing version, to compare the values
        None if secret.is_some_and(|secret| has_value(secret, input)) => {
            &["kms:GenerateDataKey", "kms:Decrypt"]
        }
        None if writes => &["kms:GenerateDataKey"],
        None => &[],
    };
    match named.or_else(|| secret?.kms_key_id.as_deref()) {
        Some(key) => use_key(caller, &state.region, key, &arn, actions),
        None => Ok(()),
    }
}

/// The permissions on the key of each replica with a key of its own (docs), in the replica's region.
fn encrypt_replicas(caller: &Role, input: &Value, primary: &str) -> Result<(), ServiceError> {
    for replica in list(input, "AddReplicaRegions") {
        let key = text(replica, "KmsKeyId").filter(|key| !key.is_empty());
        if let (Some(region), Some(key)) = (text(replica, "Region"), key) {
            let arn = arn_in(region, primary);
            let actions = ["kms:GenerateDataKey", "kms:Encrypt"];
            use_key(caller, region, key, &arn, &actions)?;
        }
    }
    Ok(())
}

fn has_value(secret: &Secret, input: &Value) -> bool {
    text(input, "ClientRequestToken")
        .is_some_and(|token| secret.versions.read(Some(token), None).is_ok())
}

/// The service uses the key for the caller, and names itself to KMS (`kms:ViaService`).
fn use_key(
    caller: &Role,
    region: &str,
    key: &str,
    secret_arn: &str,
    actions: &[&str],
) -> Result<(), ServiceError> {
    if caller.is_root() {
        return Ok(());
    }
    let key = match key {
        alias if alias.contains("alias/") => {
            return Err(ServiceError::unjudged(format!(
                "The local KMS does not support aliases, such as {alias}; give the secret's key by ARN."
            )));
        }
        arn if arn.starts_with("arn:") => arn.to_owned(),
        id => format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}"),
    };
    let mut keys = Keys::default();
    let service = format!("secretsmanager.{region}.amazonaws.com");
    keys.set("kms:ViaService", [service]);
    keys.set("kms:CallerAccount", [ACCOUNT]);
    keys.set("kms:EncryptionContext:SecretARN", [secret_arn]);
    keys.set("aws:RequestedRegion", [region]);
    for action in actions {
        caller
            .check(action, &key, &keys)
            .map_err(|denied| match denied {
                // the service does not repeat KMS's message
                Denied::ByPolicy(_) => ServiceError::access_denied("Access to KMS is not allowed"),
                unjudged => unjudged.into(),
            })?;
    }
    Ok(())
}

impl From<Denied> for ServiceError {
    fn from(denied: Denied) -> Self {
        Self::refused(denied.code(), denied.to_string())
    }
}

fn text<'a>(input: &'a Value, field: &str) -> Option<&'a str> {
    input.get(field).and_then(Value::as_str)
}

fn list<'a>(input: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    input
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
