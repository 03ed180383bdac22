//! The function's last log lines about this secret.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;

use super::finding::{Cure, Verdict};
use crate::{
    log::{Log, failing},
    secrets::time,
    terminal::moment,
};

/// How far back to read: an older failure is over, or has happened again.
const SINCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whether every attempt of the current rotation fails, and which steps failed since the last success.
pub(super) async fn examine(
    configuration: &SdkConfig,
    secret: &DescribeSecretOutput,
    pending: Option<&str>,
    now: SystemTime,
) -> Verdict {
    let Some(function) = secret.rotation_lambda_arn() else {
        return Verdict::skipped("no function is configured for the secret");
    };
    let week = now.checked_sub(SINCE).unwrap_or(SystemTime::UNIX_EPOCH);
    let since = time(secret.last_rotated_date()).map_or(week, |rotated| rotated.max(week));
    let lines = Log::of_function(configuration, function);
    let lines = match lines.steps(since).await {
        Ok(lines) => lines,
        Err(error) => return Verdict::unknown(error.to_string(), Cure::default()),
    };
    let own = lines.into_iter();
    let own: Vec<_> = own
        .filter(|line| Some(line.secret.as_str()) == secret.arn())
        .collect();
    let advice =
        "its message says what to do; the service tries again by itself, with the same version";
    if let Some(line) = pending.and_then(|pending| failing(&own, pending)) {
        let attempts = own.iter().filter(|other| {
            other.failed() && other.version == line.version && other.step == line.step
        });
        let what = format!(
            "{} fails, {} times in the rotation in progress, last on {}: {}",
            line.step,
            attempts.count(),
            moment(line.time),
            line.message()
        );
        return Verdict::wrong(what, Cure::advice(advice));
    }
    match own.iter().rfind(|line| line.failed()) {
        Some(line) if pending.is_none() => {
            let what = format!(
                "{} failed on {}, and no rotation has succeeded since: {}",
                line.step,
                moment(line.time),
                line.message()
            );
            Verdict::warning(what, Cure::advice(advice))
        }
        _ => Verdict::ok("no step has failed since the last rotation"),
    }
}
