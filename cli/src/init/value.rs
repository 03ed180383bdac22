//! Reads a secret's value.

use aws_sdk_secretsmanager::{Client, operation::get_secret_value::GetSecretValueOutput};
use secrecy::SecretString;

use crate::{
    aws::{self, explain},
    secrets::text,
};

/// A value, with the ARN of its secret.
pub(super) struct Value {
    pub(super) arn: String,
    pub(super) text: SecretString,
}

/// Reads a version, or AWSCURRENT.
pub(super) async fn read(
    client: &Client,
    secret: &str,
    version: Option<&str>,
) -> Result<Value, aws::Error> {
    let request = client.get_secret_value().secret_id(secret);
    let request = request.set_version_id(version.map(str::to_owned));
    let value = request.send().await;
    let value = value.map_err(|error| explain("secretsmanager:GetSecretValue", error))?;
    let GetSecretValueOutput {
        arn,
        secret_string,
        secret_binary,
        ..
    } = value;
    Ok(Value {
        arn: arn.unwrap_or_else(|| secret.to_owned()),
        // bytes that are not text are no JSON either
        text: text(secret_string, secret_binary).unwrap_or_default(),
    })
}
