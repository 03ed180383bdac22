//! One JSON line for each step, and metrics in CloudWatch's embedded metric format.
//!
//! Only this crate's own lines follow `LOG_LEVEL`. The crates below log at WARN only: at TRACE they would print whole requests
//! and events, passwords and RotationToken included.

use std::{
    io,
    time::{Duration, SystemTime},
};

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_cloudwatch_embedded::Collector;
use serde_json::Value;
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{age::Ages, error::Error, event::RotationEvent, rotation::Outcome};

/// The namespace of the metrics in CloudWatch.
pub const NAMESPACE: &str = "SecretRotation";

/// Sends this crate's lines to stdout, as JSON. Call it once, at start.
///
/// `level` is the value of `LOG_LEVEL`, or else of Lambda's own `AWS_LAMBDA_LOG_LEVEL`: `ERROR` to `TRACE`. Any other value
/// means INFO.
pub fn start_log(level: Option<&str>) {
    let level = level
        .and_then(|level| level.parse::<Level>().ok())
        .unwrap_or(Level::INFO);
    let targets = Targets::new()
        .with_default(Level::WARN)
        // the runtime repeats a failed step's error, which already has its line
        .with_target(
            "lambda_runtime::layers",
            tracing::level_filters::LevelFilter::OFF,
        )
        .with_target("secret_rotation", level);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stdout);
    // only a test starts a second subscriber in one process; the first one stays
    let _ = tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init();
}

/// Collects the metrics until they are written.
#[derive(Clone, Copy)]
pub struct Metrics(Option<&'static Collector>);

impl Metrics {
    /// Installs the collector. Call it once, at start. Each metric has the dimension `FunctionName`, so that two functions in
    /// an account do not trigger each other's alarms.
    pub fn start(function: &str) -> Self {
        let collector = metrics_cloudwatch_embedded::Builder::new()
            .cloudwatch_namespace(NAMESPACE)
            .with_dimension("FunctionName", function.to_owned())
            .init()
            .ok();
        describe_counter!("Rotations", Unit::Count, "finished rotations");
        describe_counter!("Failures", Unit::Count, "steps that failed");
        describe_histogram!("StepDuration", Unit::Milliseconds, "duration of a step");
        describe_histogram!(
            "ReplacedVersionAge",
            Unit::Seconds,
            "age of the version that was replaced"
        );
        describe_histogram!(
            "OverlapCutShort",
            Unit::Seconds,
            "how long before its promised end an old password was replaced"
        );
        // histograms: every step would write a gauge again until the next check
        describe_histogram!("OldestAge", Unit::Seconds, "time since the oldest rotation");
        describe_histogram!("Overdue", Unit::Count, "secrets whose rotation is overdue");
        Self(collector)
    }

    /// Writes what was collected to stdout, one document for each set of dimensions.
    fn write(self, secret: &str) {
        if let Some(collector) = self.0 {
            collector.set_property("SecretId", Value::from(secret));
            if let Err(error) = collector.flush(io::stdout()) {
                tracing::warn!(%error, "the metrics could not be written");
            }
        }
    }
}

/// The cost of a step.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From the event to the outcome.
    pub took: Duration,
    /// Requests to Secrets Manager, retries included.
    pub api_calls: u32,
    /// Logins tried at the database.
    pub connections: u32,
}

/// Reports one step: its line, and its metrics.
pub fn report(
    metrics: Metrics,
    event: &RotationEvent,
    result: &Result<Outcome, Error>,
    cost: Cost,
    now: SystemTime,
) {
    let step = event.step.name();
    // a step's time means nothing below a microsecond
    let milliseconds = cost.took.as_micros() as f64 / 1000.0;
    histogram!("StepDuration", "Step" => step).record(milliseconds);
    match result {
        Ok(outcome) => {
            tracing::info!(
                secret = event.secret,
                version = event.token,
                step,
                outcome = outcome.name(),
                milliseconds,
                api_calls = cost.api_calls,
                connections = cost.connections,
            );
            if let Outcome::Promoted { .. } = outcome {
                counter!("Rotations").increment(1);
            }
            if let Outcome::ChangedEarly { promised } = outcome {
                let early = promised.duration_since(now).unwrap_or_default();
                histogram!("OverlapCutShort").record(early.as_secs_f64());
            }
            if let Outcome::Changed {
                replaced: Some(stored),
            }
            | Outcome::Promoted {
                replaced: Some(stored),
            } = outcome
            {
                let age = now.duration_since(*stored).unwrap_or_default();
                histogram!("ReplacedVersionAge").record(age.as_secs_f64());
            }
        }
        Err(error) => {
            tracing::error!(
                secret = event.secret,
                version = event.token,
                step,
                outcome = "failed",
                milliseconds,
                api_calls = cost.api_calls,
                connections = cost.connections,
                error_type = error.error_type(),
                error = %error,
            );
            count_failure(step, error);
        }
    }
    metrics.write(&event.secret);
}

/// Reports an age check: its line, which names the secrets that are overdue, and its metrics.
pub fn report_ages(metrics: Metrics, result: &Result<Ages, Error>, cost: Cost) {
    let milliseconds = cost.took.as_micros() as f64 / 1000.0;
    let api_calls = cost.api_calls;
    match result {
        Ok(ages) => {
            let oldest = ages.oldest.map(|age| age.as_secs());
            let (secrets, overdue) = (ages.secrets, ages.overdue.len());
            if overdue == 0 {
                tracing::info!(
                    check = "age",
                    secrets,
                    oldest,
                    overdue,
                    milliseconds,
                    api_calls
                );
            } else {
                let names = ages.overdue.join(" ");
                tracing::warn!(
                    check = "age",
                    secrets,
                    oldest,
                    overdue,
                    names,
                    milliseconds,
                    api_calls,
                );
            }
            if let Some(oldest) = ages.oldest {
                histogram!("OldestAge").record(oldest.as_secs_f64());
            }
            histogram!("Overdue").record(overdue as f64);
        }
        Err(error) => {
            tracing::error!(
                check = "age",
                outcome = "failed",
                milliseconds,
                api_calls,
                error_type = error.error_type(),
                error = %error,
            );
            count_failure("ageCheck", error);
        }
    }
    metrics.write("");
}

/// Reports an invocation that did not become a step.
pub fn report_refused(metrics: Metrics, error: &Error) {
    tracing::error!(outcome = "refused", error_type = error.error_type(), error = %error);
    count_failure("none", error);
    metrics.write("");
}

/// Counts a failure: for the alarm, which watches all failures of the function together, and for people, by step and kind.
fn count_failure(step: &'static str, error: &Error) {
    counter!("Failures").increment(1);
    counter!("Failures", "Step" => step, "ErrorType" => error.error_type()).increment(1);
}
