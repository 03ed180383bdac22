//! The steps that only operators send: revokeSecret and rollbackSecret.

use std::{fmt, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_lambda::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use secret_rotation::event::Step;
use serde::Serialize;
use serde_json::{Value, json};

use crate::aws::{self, explain};

/// Lambda's longest timeout.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The result of revokeSecret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// In the function's words: `revoked` or `nothing to revoke`.
    pub outcome: String,
    /// How many sessions were ended.
    pub sessions_ended: u64,
    /// For how many seconds a login that began before the revocation can still succeed with the old password. After that, revoke again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_in_seconds: Option<u64>,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, sessions ended: {}",
            self.outcome, self.sessions_ended
        )?;
        match self.again_in_seconds {
            None => Ok(()),
            Some(seconds) => write!(
                f,
                "; a login that began before can still succeed for {seconds} s: revoke again after that"
            ),
        }
    }
}

/// The result of rollbackSecret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// In the function's words: `rolled back`.
    pub outcome: String,
}

/// Why the step failed, or why its result is unknown.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A service failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The function reported an error.
    #[error(
        "{step} failed ({error_type}: {message}); when the cause is gone, run rotatectl {} {secret}", command(*.step)
    )]
    Failed {
        step: Step,
        secret: String,
        error_type: String,
        message: String,
    },
}

/// The command that sends a step.
fn command(step: Step) -> &'static str {
    match step {
        Step::Rollback => "rollback",
        _ => "revoke",
    }
}

/// Invokes functions, as an operator does.
#[derive(Clone, Debug)]
pub struct Operator(Client);

impl Operator {
    /// Uses the credentials of this configuration.
    pub fn new(configuration: &SdkConfig) -> Self {
        let limits = configuration.timeout_config().cloned();
        let limits = limits.map_or_else(TimeoutConfig::builder, |limits| limits.into_builder());
        let configuration = aws_sdk_lambda::config::Builder::from(configuration)
            // the answer comes only at the end of the function
            .timeout_config(limits.read_timeout(LONGEST).build())
            // a second invocation would wait for the locks of the first
            .retry_config(RetryConfig::disabled())
            .build();
        Self(Client::from_conf(configuration))
    }

    /// Invokes the function to revoke the credential before AWSCURRENT.
    ///
    /// # Errors
    ///
    /// It cannot be invoked, or it fails.
    pub async fn revoke(&self, secret: &str, function: &str) -> Result<Revoked, Error> {
        let answer = self.send(Step::Revoke, secret, function).await?;
        Ok(Revoked {
            outcome: text(&answer, "outcome"),
            sessions_ended: answer["sessions"].as_u64().unwrap_or_default(),
            again_in_seconds: answer["again_in_seconds"].as_u64(),
        })
    }

    /// Invokes the function to make AWSPREVIOUS current again.
    ///
    /// # Errors
    ///
    /// It cannot be invoked, or it fails.
    pub async fn roll_back(&self, secret: &str, function: &str) -> Result<RolledBack, Error> {
        let answer = self.send(Step::Rollback, secret, function).await?;
        Ok(RolledBack {
            outcome: text(&answer, "outcome"),
        })
    }

    async fn send(&self, step: Step, secret: &str, function: &str) -> Result<Value, Error> {
        let event = json!({ "Step": step.name(), "SecretId": secret });
        let invoked = self
            .0
            .invoke()
            .function_name(function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .map_err(|error| explain("lambda:InvokeFunction", error))?;
        let payload = invoked.payload().map(Blob::as_ref).unwrap_or_default();
        let answer: Value = serde_json::from_slice(payload).unwrap_or_default();
        match invoked.function_error() {
            None => Ok(answer),
            Some(_) => Err(Error::Failed {
                step,
                secret: secret.to_owned(),
                error_type: text(&answer, "errorType"),
                message: text(&answer, "errorMessage"),
            }),
        }
    }
}

fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or("unknown").to_owned()
}
