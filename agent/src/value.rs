//! A version and an error, in the shape that both protocols share.

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::STANDARD};
use rotating_secret::Credential;
use secrecy::ExposeSecret;
use serde::Serialize;

/// The order of the fields is AWS's. The protocols write the date differently.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Value<'a, Date> {
    #[serde(rename = "ARN")]
    arn: Option<&'a str>,
    name: Option<&'a str>,
    version_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_string: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_binary: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    version_stages: &'a [String],
    created_date: Option<Date>,
}

impl<'a, Date> Value<'a, Date> {
    pub(crate) fn of(credential: &'a Credential, date: fn(SystemTime) -> Date) -> Self {
        let binary = credential.binary();
        Self {
            arn: credential.arn(),
            name: credential.name(),
            version_id: credential.version(),
            secret_string: credential.text().map(|text| text.expose_secret()),
            secret_binary: binary.map(|bytes| STANDARD.encode(bytes.expose_secret())),
            version_stages: credential.stages(),
            created_date: credential.created().map(date),
        }
    }
}

/// An error of the API.
#[derive(Serialize)]
pub(crate) struct Failure<'a> {
    #[serde(rename = "__type")]
    pub(crate) code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<&'a str>,
}
