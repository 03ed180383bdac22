//! Roles as JSON.

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, read};
use crate::{
    iam::{ACCOUNT, PolicyError},
    secrets_manager::SecretsManager,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    trust: Value,
    policies: Vec<Value>,
    access_key_id: Option<String>,
}

pub(super) async fn define(
    State(service): State<SecretsManager>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let wanted: Wanted = read(&body)?;
    let name = wanted.name.as_str();
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_known) {
        return Err(Refused::request(
            "a role cannot have this name: give it 1 to 64 letters, digits and _+=,.@-",
        ));
    }
    if wanted
        .access_key_id
        .as_deref()
        .is_some_and(|key| key.starts_with("ASIA"))
    {
        return Err(Refused::request(
            "access_key_id begins with ASIA, which is reserved for AssumeRole: choose another one, AKIAREADER for example",
        ));
    }
    let refused = |error: PolicyError| Refused::request(error.to_string());
    let iam = service.iam();
    iam.define(name, &wanted.trust, &wanted.policies)
        .map_err(refused)?;
    if let Some(key) = &wanted.access_key_id {
        iam.give(key, name);
    }
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    Ok((StatusCode::CREATED, Json(json!({ "arn": arn }))))
}
