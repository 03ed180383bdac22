//! The operations that read. Operations that write go to Secrets Manager.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use rotating_secret::provider::Selector;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::answer::{Fault, epoch, json};
use crate::{
    Agent,
    asker::Asker,
    spelling::is_sound,
    store::{Answer, Question},
    telemetry,
    value::Value,
    wire,
};

/// The most that the API takes.
const BATCH: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    secret_id_list: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchAnswer<'a> {
    secret_values: Vec<Value<'a, f64>>,
    errors: Vec<BatchError>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchError {
    secret_id: String,
    error_code: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    secret_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description<'a> {
    #[serde(rename = "ARN")]
    arn: Option<&'a str>,
    name: Option<&'a str>,
    version_ids_to_stages: BTreeMap<&'a str, &'a [String]>,
}

/// One operation of the API.
pub(super) async fn perform(
    agent: &Agent,
    asker: &Asker,
    operation: &str,
    body: &[u8],
) -> Result<Response, Fault> {
    match operation {
        "GetSecretValue" => {
            let get: Get = parse(body)?;
            let read = read(
                agent,
                asker,
                get.secret_id,
                get.version_id,
                get.version_stage,
            )
            .await?;
            let mut response = json(StatusCode::OK, &Value::of(&read.credential, epoch));
            wire::mark(response.headers_mut(), &read);
            Ok(response)
        }
        "BatchGetSecretValue" => batch(agent, asker, parse(body)?).await,
        "DescribeSecret" => {
            let describe: Describe = parse(body)?;
            let read = read(agent, asker, describe.secret_id, None, None).await?;
            let credential = &read.credential;
            let stages = (credential.version(), credential.stages());
            let description = Description {
                arn: credential.arn(),
                name: credential.name(),
                version_ids_to_stages: BTreeMap::from([stages]),
            };
            Ok(json(StatusCode::OK, &description))
        }
        other => {
            let message = format!(
                "{other} is not served by rotating-secret-agent, which serves GetSecretValue, BatchGetSecretValue and DescribeSecret: \
                 send it to Secrets Manager, with endpoint_url of that client or without AWS_ENDPOINT_URL_SECRETS_MANAGER"
            );
            Err(Fault::new(
                StatusCode::BAD_REQUEST,
                "UnknownOperationException",
                message,
            ))
        }
    }
}

async fn batch(agent: &Agent, asker: &Asker, batch: Batch) -> Result<Response, Fault> {
    let Some(ids) = batch.secret_id_list else {
        return Err(Fault::invalid(
            "rotating-secret-agent serves SecretIdList from its cache: send Filters to Secrets Manager",
        ));
    };
    if ids.is_empty() || ids.len() > BATCH {
        return Err(Fault::invalid(format!(
            "SecretIdList takes 1 to {BATCH} ids"
        )));
    }
    let reads = ids
        .iter()
        .map(|id| read(agent, asker, id.clone(), None, None));
    let reads = futures_util::future::join_all(reads).await;
    let mut answer = BatchAnswer {
        secret_values: Vec::new(),
        errors: Vec::new(),
    };
    for (secret_id, read) in ids.into_iter().zip(&reads) {
        match read {
            Ok(read) => answer
                .secret_values
                .push(Value::of(&read.credential, epoch)),
            Err(fault) => answer.errors.push(BatchError {
                secret_id,
                error_code: fault.code.clone(),
                message: fault.message.clone(),
            }),
        }
    }
    Ok(json(StatusCode::OK, &answer))
}

async fn read(
    agent: &Agent,
    asker: &Asker,
    id: String,
    version_id: Option<String>,
    stage: Option<String>,
) -> Result<Answer, Fault> {
    let texts = [Some(&id), version_id.as_ref(), stage.as_ref()];
    if id.is_empty() || !texts.into_iter().flatten().all(|text| is_sound(text)) {
        return Err(Fault::invalid(
            "SecretId, VersionId and VersionStage take no control character, and SecretId is needed",
        ));
    }
    let question = Question {
        id,
        selector: Selector::new(version_id, stage),
        ..Question::default()
    };
    let read = agent.read(asker, &question).await;
    telemetry::read("sdk", &read);
    read.map_err(|error| Fault::of(&error))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        // serde's message may quote the request
        let message = format!(
            "the request is not the operation's, at column {}",
            error.column()
        );
        Fault::new(StatusCode::BAD_REQUEST, "SerializationException", message)
    })
}
