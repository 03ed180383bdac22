//! A secret's own policy: PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, ValidateResourcePolicy.
//!
//! It is evaluated together with the caller's policies, see [`iam`](crate::iam).
//!
//! | rule | source |
//! |---|---|
//! | A document with errors, or a principal that cannot be: MalformedPolicyDocumentException, and the first sentences | docs |
//! | A broad one is refused where BlockPublicPolicy is set, which it is not by default, and the words | docs |
//! | Broad is what allows everyone something without a condition on fixed accounts, principals or sources | docs; the rule is ours |
//! | Without a policy the answer has none, and that is no error | moto |
//! | Validation reports broad access and a caller who is locked out | docs; the names of the checks are ours |
//! | PutResourcePolicy does not check who is locked out | chosen here: the user guide says it about the console |
//! | Roles that a policy names need not be there | chosen here |
//! | The document comes back as it was written | chosen here |
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

/// GetResourcePolicy's request, and DeleteResourcePolicy's.
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
