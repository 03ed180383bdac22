//! revokeSecret: the function ends what came before AWSCURRENT, at once.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::aws::{self, explain};

/// The longest that Lambda lets a function work.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What the function did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// In the function's words: `revoked`, or `nothing to revoke`.
    pub outcome: String,
    /// How many sessions it ended.
    pub sessions_ended: u64,
}

/// Why nothing was revoked, as far as is known.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The function said why.
    #[error(
        "revokeSecret failed ({error_type}: {message}); when the cause is gone, run rotatectl revoke {secret}"
    )]
    Failed {
        secret: String,
        error_type: String,
        message: String,
    },
}

/// Invokes functions.
#[derive(Clone, Debug)]
pub struct Revocation(Client);

impl Revocation {
    /// With these credentials.
    pub fn new(configuration: &SdkConfig) -> Self {
        let limits = configuration.timeout_config().cloned();
        let limits = limits.map_or_else(TimeoutConfig::builder, |limits| limits.into_builder());
        let configuration = aws_sdk_lambda::config::Builder::from(configuration)
            // the answer comes when the function has ended, and not before
            .timeout_config(limits.read_timeout(LONGEST).build())
            // a second invocation would wait for the first one's locks
            .retry_config(RetryConfig::disabled())
            .build();
        Self(Client::from_conf(configuration))
    }

    /// Has the function end what came before AWSCURRENT.
    ///
    /// # Errors
    ///
    /// It cannot be invoked, or it failed.
    pub async fn revoke(&self, secret: &str, function: &str) -> Result<Revoked, Error> {
        let event = json!({ "Step": "revokeSecret", "SecretId": secret });
        let invoked = self
            .0
            .invoke()
            .function_name(function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .map_err(|error| explain("lambda:InvokeFunction", error))?;
        let payload = invoked.payload().map(Blob::as_ref).unwrap_or_default();
        let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        let text = |field: &str| payload[field].as_str().unwrap_or("unknown").to_owned();
        if invoked.function_error().is_some() {
            return Err(Error::Failed {
                secret: secret.to_owned(),
                error_type: text("errorType"),
                message: text("errorMessage"),
            });
        }
        Ok(Revoked {
            outcome: text("outcome"),
            sessions_ended: payload["sessions"].as_u64().unwrap_or_default(),
        })
    }
}
