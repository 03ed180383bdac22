//! Secrets Manager in one region.

use std::time::Duration;

use aws_config::{Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_secretsmanager::{
    Client,
    config::{Builder, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
    primitives::{Blob, DateTime},
    types::SecretValueEntry,
};
use secrecy::{SecretSlice, SecretString};

use super::{
    super::codes::sorted, Kind, ProviderError, Selector, Version, address::Address, errors,
};
use crate::{
    causes::in_one_line,
    provider::{Outage, Refusal, Value},
};

/// A region that gives no answer within this time counts as down, and the next one is asked.
const ATTEMPT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct InRegion {
    client: Client,
    /// Unknown for a client that was made without one.
    region: Option<String>,
    address: Address,
}

impl InRegion {
    pub(super) fn new(client: Client) -> Self {
        let address = Address::default();
        let config = client.config().to_builder().interceptor(address.clone());
        let region = client.config().region().map(ToString::to_string);
        Self {
            client: Client::from_conf(config.build()),
            region: region.filter(|region| !region.is_empty()),
            address,
        }
    }

    pub(super) fn configured(shared: &SdkConfig) -> Self {
        let config = Builder::from(shared)
            // the caller repeats it, with backoff and jitter; here the next region is better than a second try
            .retry_config(RetryConfig::disabled())
            // the SDK's two limits on an operation would also limit the loading of credentials
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(ATTEMPT)
                    .read_timeout(ATTEMPT)
                    .build(),
            );
        Self::new(Client::from_conf(config.build()))
    }

    /// The same in another region.
    pub(super) fn moved(&self, region: &str) -> Self {
        let config = self.client.config().to_builder();
        let region = Region::new(region.to_owned());
        Self::new(Client::from_conf(config.region(region).build()))
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.region.as_deref()
    }

    pub(super) async fn read(
        &self,
        secret: &str,
        selector: &Selector,
    ) -> Result<Version, ProviderError> {
        let request = self.client.get_secret_value();
        let sent = request
            .secret_id(self.localize(secret))
            .set_version_id(selector.version_id.clone())
            .set_version_stage(selector.stage.clone())
            .send()
            .await;
        let value = sent.map_err(|error| self.classify(secret, error))?;
        let (name, stages) = (value.name, value.version_stages);
        version(
            value.arn,
            value.version_id,
            value.secret_string,
            value.secret_binary,
            value.created_date,
        )
        .map(|version| Version {
            name,
            stages: stages.unwrap_or_default(),
            ..version
        })
        .ok_or_else(|| no_value(secret))
    }

    pub(super) async fn fetch_batch(
        &self,
        secrets: &[&str],
    ) -> Result<Vec<Result<Version, ProviderError>>, ProviderError> {
        let ids: Vec<String> = secrets.iter().map(|secret| self.localize(secret)).collect();
        let mut entries: Vec<SecretValueEntry> = Vec::new();
        let mut refusals = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.batch_get_secret_value();
            let sent = request
                .set_secret_id_list(Some(ids.clone()))
                .set_next_token(next)
                .send()
                .await;
            let page = sent.map_err(|error| self.classify(&secrets.join(", "), error))?;
            entries.extend(page.secret_values.unwrap_or_default());
            refusals.extend(page.errors.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        let answer = |(id, secret): (&String, &&str)| {
            let is = |named: Option<&str>| named == Some(id.as_str());
            let found = |entry: &&SecretValueEntry| is(entry.arn()) || is(entry.name());
            if let Some(entry) = entries.iter().find(found).cloned() {
                return version(
                    entry.arn,
                    entry.version_id,
                    entry.secret_string,
                    entry.secret_binary,
                    entry.created_date,
                )
                .ok_or_else(|| no_value(secret));
            }
            let refusal = refusals.iter().find(|refusal| is(refusal.secret_id()));
            let code = refusal.and_then(|refusal| refusal.error_code());
            let message = refusal.and_then(|refusal| refusal.message());
            let message = message.unwrap_or("the answer does not mention it");
            Err(self.refused(secret, code.unwrap_or_default(), message))
        };
        Ok(ids.iter().zip(secrets).map(answer).collect())
    }

    /// A replica's ARN differs from its primary's in the region only.
    fn localize(&self, secret: &str) -> String {
        let mut fields: Vec<&str> = secret.splitn(7, ':').collect();
        match (fields.as_mut_slice(), &self.region) {
            (["arn", _, "secretsmanager", region, ..], Some(own)) => *region = own,
            _ => return secret.to_owned(),
        }
        fields.join(":")
    }

    fn classify<E>(&self, secret: &str, error: SdkError<E, HttpResponse>) -> ProviderError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let refusal = refusal(&error);
        let sorted = self.sort(secret, error);
        match refusal {
            Some(refusal) => sorted.with_refusal(refusal),
            None => sorted,
        }
    }

    fn sort<E>(&self, secret: &str, error: SdkError<E, HttpResponse>) -> ProviderError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // a proxy in the service's place, or a service that fails, may use its own format
        let status = error.raw_response().map(|answer| answer.status());
        let broken = status.is_some_and(|status| status.is_server_error());
        if let (SdkError::ServiceError(answer), false) = (&error, broken) {
            let error = answer.err();
            if let Some(code) = error.code() {
                return self.refused(secret, code, error.message().unwrap_or_default());
            }
        }
        if let Some(error) = errors::without_credentials(&error) {
            return error;
        }
        if self.region.is_none() {
            return errors::without_region();
        }
        let (place, reason) = (self.place(), in_one_line(&error));
        if errors::is_unsent(&error) {
            let message = format!(
                "{place} cannot be asked ({reason}): correct the endpoint, the credentials or the region of this client"
            );
            return ProviderError::new(Kind::Invalid, message);
        }
        let message = format!("{place} gave no answer ({reason}): check the route to it");
        let silent = ProviderError::new(Kind::Unavailable, message);
        match outage(&error) {
            Some(outage) => silent.with_outage(outage),
            None => silent,
        }
    }

    fn refused(&self, secret: &str, code: &str, message: &str) -> ProviderError {
        let (kind, advice) = sorted(code);
        let place = self.region.as_deref().unwrap_or("an unknown region");
        // the service's texts stand in logs, where a line is an event
        let message = format!("{secret} in {place}: {code} ({message}): {advice}")
            .replace(char::is_control, " ");
        ProviderError::new(kind, message)
    }

    /// Where the last request went.
    fn place(&self) -> String {
        let region = self.region.as_deref().unwrap_or("an unknown region");
        match self.address.host_and_port() {
            Some(address) => format!("Secrets Manager in {region}, at {address},"),
            None => format!("Secrets Manager in {region}"),
        }
    }
}

fn outage<E>(error: &SdkError<E, HttpResponse>) -> Option<Outage> {
    match error {
        SdkError::TimeoutError(_) => Some(Outage::TimedOut),
        SdkError::DispatchFailure(failure) => failure.is_timeout().then_some(Outage::TimedOut),
        SdkError::ResponseError(_) | SdkError::ServiceError(_) => Some(Outage::Unreadable),
        _ => None,
    }
}

/// What the service itself said.
fn refusal<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Refusal> {
    let SdkError::ServiceError(answer) = error else {
        return None;
    };
    let (status, error) = (answer.raw().status().as_u16(), answer.err());
    let message = error.message().map(str::to_owned);
    Some(Refusal::new(status, error.code()?, message))
}

fn version(
    arn: Option<String>,
    id: Option<String>,
    text: Option<String>,
    binary: Option<Blob>,
    created: Option<DateTime>,
) -> Option<Version> {
    let value = match (text, binary) {
        (Some(text), _) => Value::Text(SecretString::from(text)),
        (None, Some(bytes)) => Value::Binary(SecretSlice::from(bytes.into_inner())),
        (None, None) => return None,
    };
    Some(Version {
        arn,
        created: created.and_then(|created| created.try_into().ok()),
        ..Version::new(id?, value)
    })
}

fn no_value(secret: &str) -> ProviderError {
    let message = format!(
        "the answer for {secret} holds neither a value nor a version: see the secret in the console"
    );
    ProviderError::new(Kind::Invalid, message).with_outage(Outage::Unreadable)
}

#[cfg(test)]
mod tests {
    use aws_config::BehaviorVersion;

    use super::*;

    fn in_region(region: &str) -> InRegion {
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .build();
        InRegion::new(Client::from_conf(config))
    }

    #[test]
    fn an_arn_is_changed_to_the_requested_region_and_a_name_is_not() {
        let replica = in_region("eu-west-1");
        for (id, localized) in [
            (
                "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders/db-AbCdEf",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/db-AbCdEf",
            ),
            ("orders/db", "orders/db"),
            ("arn:aws:s3:us-east-1:x", "arn:aws:s3:us-east-1:x"),
        ] {
            assert_eq!(replica.localize(id), localized);
        }
    }
}
