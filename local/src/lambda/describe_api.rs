//! A function's configuration and policy: GetFunctionConfiguration, GetPolicy and AddPermission.

use std::{collections::BTreeMap, sync::PoisonError};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Function,
    refusal::{no_such_function, refuse},
};
use crate::iam::ACCOUNT;

/// `/2015-03-31/functions/{name or ARN}/…`.
pub(super) fn router() -> Router<Function> {
    Router::new()
        .route(
            "/2015-03-31/functions/{function}/configuration",
            get(configuration),
        )
        .route(
            "/2015-03-31/functions/{function}/policy",
            get(policy).post(add_permission),
        )
}

/// The statement that infrastructure as code usually adds.
pub(super) fn secrets_manager_may_invoke(function_arn: &str) -> Value {
    let permission = Permission {
        statement_id: "secrets-manager".to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "secretsmanager.amazonaws.com".to_owned(),
        source_account: Some(ACCOUNT.to_owned()),
        source_arn: None,
    };
    permission.statement(function_arn)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Permission {
    statement_id: String,
    action: String,
    principal: String,
    source_account: Option<String>,
    source_arn: Option<String>,
}

impl Permission {
    fn statement(&self, function_arn: &str) -> Value {
        let mut statement = json!({
            "Sid": self.statement_id, "Effect": "Allow", "Principal": { "Service": self.principal },
            "Action": self.action, "Resource": function_arn,
        });
        if let Some(account) = &self.source_account {
            statement["Condition"]["StringEquals"]["AWS:SourceAccount"] = account.as_str().into();
        }
        if let Some(arn) = &self.source_arn {
            statement["Condition"]["ArnLike"]["AWS:SourceArn"] = arn.as_str().into();
        }
        statement
    }
}

async fn configuration(State(function): State<Function>, Path(name): Path<String>) -> Response {
    if !function.is_named(&name) {
        return no_such_function(&name);
    }
    let settings = &function.0.settings;
    let variables: BTreeMap<&String, &String> = settings
        .env
        .iter()
        .map(|(name, value)| (name, value))
        .collect();
    Json(json!({
        "FunctionName": settings.name,
        "FunctionArn": function.arn(),
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "PackageType": "Zip",
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/{}", settings.name),
        "Timeout": settings.timeout.as_secs(),
        "MemorySize": 128,
        "Version": "$LATEST",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": { "Variables": variables },
    }))
    .into_response()
}

async fn policy(State(function): State<Function>, Path(name): Path<String>) -> Response {
    if !function.is_named(&name) {
        return no_such_function(&name);
    }
    let statements = function
        .0
        .policy
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if statements.is_empty() {
        return refuse(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        );
    }
    let policy = json!({ "Version": "2012-10-17", "Id": "default", "Statement": *statements });
    Json(json!({ "Policy": policy.to_string() })).into_response()
}

async fn add_permission(
    State(function): State<Function>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    if !function.is_named(&name) {
        return no_such_function(&name);
    }
    let permission: Permission = match serde_json::from_slice(&body) {
        Ok(permission) => permission,
        Err(error) => {
            let (code, said) = ("InvalidParameterValueException", error.to_string());
            return refuse(StatusCode::BAD_REQUEST, code, &said);
        }
    };
    let statement = permission.statement(&function.arn());
    let mut statements = function
        .0
        .policy
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let taken = |present: &Value| present["Sid"] == statement["Sid"];
    if statements.iter().any(taken) {
        let message = "The statement id provided already exists.";
        return refuse(StatusCode::CONFLICT, "ResourceConflictException", message);
    }
    statements.push(statement.clone());
    let answer = json!({ "Statement": statement.to_string() });
    (StatusCode::CREATED, Json(answer)).into_response()
}
