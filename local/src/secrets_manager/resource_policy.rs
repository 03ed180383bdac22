//! A secret's resource policy: PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, ValidateResourcePolicy.
//!
//! The policy is evaluated together with the caller's policies, see [`iam`](crate::iam).
//!
//! | rule | source |
//! |---|---|
//! | A document with errors, or with an impossible principal: MalformedPolicyDocumentException, with these first sentences | docs |
//! | With BlockPublicPolicy (off by default) a broad policy is refused, with this text | docs |
//! | It is broad if it allows everyone something, without a condition on fixed accounts, principals or sources | docs; the rule is ours |
//! | Without a policy the answer has no policy, and is no error | moto |
//! | Validation reports broad access and a caller that is locked out | docs; the names of the checks are ours |
//! | PutResourcePolicy does not check for a lock-out | chosen here: the user guide mentions the check only for the console |
//! | Roles in a policy need not exist | chosen here |
//! | The document is returned unchanged | chosen here |
//! | A replica answers with its copy | chosen here: the service copies policies (docs); moto refuses |

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    access::{locks_out, read_policy},
    error::ServiceError,
    secret::State,
    wire::{answer, parse},
    write::Named,
};
use crate::iam::Role;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutResourcePolicy {
    secret_id: String,
    resource_policy: String,
    #[serde(default)]
    block_public_policy: bool,
}

/// The request of GetResourcePolicy and of DeleteResourcePolicy.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfSecret {
    secret_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ValidateResourcePolicy {
    secret_id: Option<String>,
    resource_policy: String,
}

pub(super) fn put_resource_policy(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: PutResourcePolicy = parse(input)?;
    state.find_alive(&request.secret_id)?;
    if read_policy(&request.resource_policy)?.is_public() && request.block_public_policy {
        return Err(ServiceError::refused(
            "PublicPolicyException",
            "You can't attach a resource-based policy that allows broad access to the secret.",
        ));
    }
    state.change(&request.secret_id, now, |secret| {
        secret.policy = Some(request.resource_policy);
        answer(Named::new(secret, None))
    })
}

pub(super) fn get_resource_policy(state: &State, input: Value) -> Result<Value, ServiceError> {
    let request: OfSecret = parse(input)?;
    let secret = state.find_alive(&request.secret_id)?;
    let mut found = answer(Named::new(secret, None))?;
    if let Some(policy) = &secret.policy {
        found["ResourcePolicy"] = policy.as_str().into();
    }
    Ok(found)
}

pub(super) fn delete_resource_policy(
    state: &mut State,
    input: Value,
    now: DateTime<Utc>,
) -> Result<Value, ServiceError> {
    let request: OfSecret = parse(input)?;
    state.find_alive(&request.secret_id)?;
    state.change(&request.secret_id, now, |secret| {
        secret.policy = None;
        answer(Named::new(secret, None))
    })
}

pub(super) fn validate_resource_policy(
    state: &State,
    input: Value,
    caller: Option<&Role>,
) -> Result<Value, ServiceError> {
    let request: ValidateResourcePolicy = parse(input.clone())?;
    if let Some(id) = &request.secret_id {
        state.find_alive(id)?;
    }
    let policy = read_policy(&request.resource_policy)?;
    let locked_out = match caller {
        Some(caller) => locks_out(caller, state, &input, &policy)?,
        None => false,
    };
    let checks = [
        (
            policy.is_public(),
            "PublicAccess",
            "This resource policy grants broad access to your secret.",
        ),
        (
            locked_out,
            "LockOut",
            "Your requested changes will not allow you to manage this secret in the future.",
        ),
    ];
    let errors: Vec<Value> = checks
        .into_iter()
        .filter(|(failed, ..)| *failed)
        .map(|(_, check, message)| json!({ "CheckName": check, "ErrorMessage": message }))
        .collect();
    Ok(json!({ "PolicyValidationPassed": errors.is_empty(), "ValidationErrors": errors }))
}
