//! The rotation function's log, in CloudWatch Logs: one JSON line a step, which tells what the service does not.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use serde::Deserialize;

use crate::aws::{Error, explain};

const ACTION: &str = "logs:FilterLogEvents";

/// One line of the function's, as far as it is about a step.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// When the service received it.
    #[serde(skip, default = "epoch")]
    pub time: SystemTime,
    /// The secret's ARN.
    pub secret: String,
    /// The token of the rotation, which is the id of the version that it makes.
    #[serde(default)]
    pub version: String,
    /// `createSecret` to `finishSecret`, or `revokeSecret`.
    pub step: String,
    /// What came of it: `created`, …, `failed`.
    pub outcome: String,
    /// What it took.
    pub milliseconds: f64,
    /// The stable name of an error.
    pub error_type: Option<String>,
    /// The error: what happened, and what to do.
    pub error: Option<String>,
}

fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

impl Line {
    /// Whether the step failed.
    pub fn failed(&self) -> bool {
        self.outcome == "failed"
    }

    /// What the step took.
    pub fn took(&self) -> Duration {
        Duration::try_from_secs_f64(self.milliseconds / 1000.0).unwrap_or_default()
    }

    /// What the function said of its failure.
    pub fn message(&self) -> &str {
        self.error.as_deref().unwrap_or("no message")
    }
}

/// The log of one function.
#[derive(Clone, Debug)]
pub struct Log {
    client: Client,
    group: String,
}

impl Log {
    /// The log of the function with this ARN, in Lambda's usual log group.
    pub fn of_function(configuration: &SdkConfig, function: &str) -> Self {
        // arn:aws:lambda:region:account:function:name, and perhaps a version or an alias
        let name = function.split(':').nth(6).unwrap_or(function);
        Self {
            client: Client::new(configuration),
            group: format!("/aws/lambda/{name}"),
        }
    }

    /// The lines since then that a pattern of CloudWatch Logs finds, the oldest first. What is not about a step is left out.
    ///
    /// A log group that is not there has no lines: Lambda makes it with the first invocation.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub async fn lines(&self, pattern: &str, since: SystemTime) -> Result<Vec<Line>, Error> {
        let since = since.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or_default().as_millis();
        let mut pages = self
            .client
            .filter_log_events()
            .log_group_name(&self.group)
            .filter_pattern(pattern)
            .start_time(i64::try_from(since).unwrap_or(i64::MAX))
            .into_paginator()
            .send();
        let mut lines = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(|error| explain(ACTION, error)) {
                Err(Error::Absent { .. }) => break,
                page => page?,
            };
            let events = page.events.unwrap_or_default();
            lines.extend(events.into_iter().filter_map(|event| {
                let mut line: Line = serde_json::from_str(event.message.as_deref()?).ok()?;
                let milliseconds = u64::try_from(event.timestamp?).ok()?;
                line.time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
                Some(line)
            }));
        }
        Ok(lines)
    }

    /// The lines of one rotation.
    ///
    /// # Errors
    ///
    /// As for [`Log::lines`].
    pub async fn rotation(&self, version: &str, since: SystemTime) -> Result<Vec<Line>, Error> {
        self.lines(&format!("{{ $.version = \"{version}\" }}"), since)
            .await
    }
}
