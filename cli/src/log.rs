//! The rotation function's log in CloudWatch Logs: one line of JSON for each step.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::aws::{Error, explain};

const ACTION: &str = "logs:FilterLogEvents";

/// Longer than Lambda lets any step take.
const LONGEST: Duration = Duration::from_secs(3600);

/// One log line of the function about a step.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// The service's id of the line.
    #[serde(skip)]
    id: String,
    /// When the service received the line.
    #[serde(skip, default = "epoch")]
    pub time: SystemTime,
    /// The secret's ARN.
    pub secret: String,
    /// The rotation's token, which is the id of its version.
    #[serde(default)]
    pub version: String,
    /// `createSecret` to `finishSecret`, or `revokeSecret`.
    pub step: String,
    /// The outcome: `created`, … or `failed`.
    pub outcome: String,
    /// How long the step took.
    pub milliseconds: f64,
    /// The stable name of an error.
    pub error_type: Option<String>,
    /// The error's text: what happened, and what to do.
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

    /// How long the step took. Anyone who may write to the log can name a time that no clock has.
    pub fn took(&self) -> Duration {
        let took = Duration::try_from_secs_f64(self.milliseconds / 1000.0);
        took.unwrap_or_default().min(LONGEST)
    }

    /// The function's text about the failure.
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
    /// The log of the function with this ARN, in Lambda's default log group.
    pub fn of_function(configuration: &SdkConfig, function: &str) -> Self {
        // arn:aws:lambda:region:account:function:name, and perhaps a version or an alias
        let name = function.split(':').nth(6).unwrap_or(function);
        Self {
            client: Client::new(configuration),
            group: format!("/aws/lambda/{name}"),
        }
    }

    /// The lines after this time that match a pattern of CloudWatch Logs, oldest first. Only lines about steps.
    ///
    /// A log group that does not exist has no lines: Lambda creates it at the first invocation.
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
                line.id = event.event_id.unwrap_or_default();
                let milliseconds = u64::try_from(event.timestamp?).ok()?;
                line.time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
                Some(line)
            }));
        }
        Ok(lines)
    }

    /// The lines of the four steps.
    ///
    /// # Errors
    ///
    /// The same as for [`Log::lines`].
    pub async fn steps(&self, since: SystemTime) -> Result<Vec<Line>, Error> {
        let pattern = r#"{ $.step = "createSecret" || $.step = "setSecret" || $.step = "testSecret" || $.step = "finishSecret" }"#;
        self.lines(pattern, since).await
    }
}

/// The last failure of this version's rotation, unless the same step has succeeded since.
pub fn failing<'a>(lines: &'a [Line], version: &str) -> Option<&'a Line> {
    let failed = |line: &&Line| line.version == version && line.failed();
    let place = lines.iter().rposition(|line| failed(&line))?;
    let line = &lines[place];
    let overcome = lines[place..]
        .iter()
        .any(|later| later.version == version && later.step == line.step && !later.failed());
    (!overcome).then_some(line)
}

/// A function's log lines about the four steps. All rotations that are followed share one request.
#[derive(Debug)]
pub struct Tail {
    log: Log,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// How often the log has been read.
    times: u64,
    /// The lines are complete from this time on.
    since: Option<SystemTime>,
    lines: Vec<Line>,
    ids: HashSet<String>,
    /// Why the last request to the log failed.
    error: Option<Arc<Error>>,
}

/// How late a line may reach the log.
const LATE: Duration = Duration::from_secs(30);

impl Tail {
    /// Nothing has been read yet.
    pub fn new(log: Log) -> Self {
        Self {
            log,
            heard: Mutex::default(),
        }
    }

    /// The lines of one rotation, from an answer after the one numbered `seen`; and the number of that answer.
    pub async fn rotation(
        &self,
        version: &str,
        since: SystemTime,
        seen: u64,
    ) -> (u64, Result<Vec<Line>, Arc<Error>>) {
        // locked during the request: all followers wait here for one answer
        let mut heard = self.heard.lock().await;
        let earlier = heard.since.is_none_or(|known| since < known);
        if heard.times == seen || earlier {
            self.ask(&mut heard, since).await;
        }
        let lines = heard.lines.iter().filter(|line| line.version == version);
        let lines = match &heard.error {
            None => Ok(lines.cloned().collect()),
            Some(error) => Err(error.clone()),
        };
        (heard.times, lines)
    }

    async fn ask(&self, heard: &mut Heard, since: SystemTime) {
        let from = match (heard.since, heard.lines.last()) {
            (Some(known), Some(last)) if known <= since => last.time - LATE,
            (Some(known), None) if known <= since => known,
            _ => since,
        };
        heard.times += 1;
        match self.log.steps(from).await {
            Ok(lines) => {
                for line in lines {
                    if heard.ids.insert(line.id.clone()) {
                        heard.lines.push(line);
                    }
                }
                heard.lines.sort_by_key(|line| line.time);
                heard.since = Some(heard.since.map_or(since, |known| known.min(since)));
                heard.error = None;
            }
            Err(error) => heard.error = Some(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_names_no_time_beyond_the_clock() {
        let text = r#"{"secret":"s","step":"setSecret","outcome":"changed","milliseconds":1e22}"#;
        let line: Line = serde_json::from_str(text).unwrap();
        assert!(line.time.checked_sub(line.took()).is_some());
    }
}
