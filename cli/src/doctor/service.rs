//! Rotation, labels and tags from DescribeSecret, and whether the value can be read.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;

use super::finding::{Cure, Verdict};
use crate::shell::Shell;
use crate::{aws, secrets::time, terminal::moment};

/// How late a rotation may be without a warning: its window is at most a day.
const LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether rotation is on, and when it is due.
pub(super) fn rotation(secret: &DescribeSecretOutput, shell: &Shell, now: SystemTime) -> Verdict {
    if let Some(deleted) = time(secret.deleted_date()) {
        let what = format!(
            "the secret was scheduled for deletion on {}",
            moment(deleted)
        );
        let restore = shell.secrets_manager("restore-secret", &[]);
        return Verdict::wrong(what, Cure::advice("restore it:").command(restore));
    }
    let rotate = |how: &[&str]| shell.secrets_manager("rotate-secret", how);
    if !secret.rotation_enabled().unwrap_or(false) {
        let advice = "turn it on, which rotates at once:";
        let on = match (secret.rotation_lambda_arn(), secret.rotation_rules()) {
            // CancelRotateSecret keeps function and schedule
            (Some(_), Some(_)) => rotate(&[]),
            (function, _) => {
                let function = function.unwrap_or("FUNCTION_ARN");
                let (arn, rules) = ("--rotation-lambda-arn", "--rotation-rules");
                rotate(&[arn, function, rules, "AutomaticallyAfterDays=30"])
            }
        };
        return Verdict::wrong("rotation is not enabled", Cure::advice(advice).command(on));
    }
    let rules = secret.rotation_rules();
    let schedule = match rules.map(|rules| {
        (
            rules.automatically_after_days(),
            rules.schedule_expression(),
        )
    }) {
        Some((Some(1), _)) => "every day".to_owned(),
        Some((Some(days), _)) => format!("every {days} days"),
        Some((None, Some(expression))) => expression.to_owned(),
        _ => "without a schedule".to_owned(),
    };
    match time(secret.next_rotation_date()) {
        Some(next) if next.checked_add(LATE).is_some_and(|latest| latest < now) => {
            let what = format!("enabled, {schedule}, but it was due on {}", moment(next));
            let advice = "see why the last one failed (the function's log), then rotate:";
            Verdict::warning(what, Cure::advice(advice).command(rotate(&[])))
        }
        Some(next) => Verdict::ok(format!("enabled, {schedule}, next on {}", moment(next))),
        None => Verdict::ok(format!("enabled, {schedule}")),
    }
}

/// The tags. `rotatectl status --tag` finds secrets by them.
pub(super) fn tags(secret: &DescribeSecretOutput, shell: &Shell) -> Verdict {
    let tags = secret.tags().iter().map(|tag| {
        let (key, value) = (
            tag.key().unwrap_or_default(),
            tag.value().unwrap_or_default(),
        );
        format!("{key}={value}")
    });
    let tags: Vec<String> = tags.collect();
    if tags.is_empty() {
        let tag = shell.secrets_manager("tag-resource", &["--tags", "Key=team,Value=TEAM"]);
        let advice = "a tag says who owns the secret, and permissions can depend on tags:";
        return Verdict::warning("none", Cure::advice(advice).command(tag));
    }
    Verdict::ok(tags.join(", "))
}

/// The key that encrypts the value, and whether the value could be read.
pub(super) fn key(secret: &DescribeSecretOutput, unread: Option<&aws::Error>) -> Verdict {
    let key = match secret.kms_key_id() {
        None => "aws/secretsmanager, which other accounts cannot use".to_owned(),
        Some(key) => key.to_owned(),
    };
    match unread {
        None => Verdict::ok(format!("{key}; it decrypts the value here")),
        Some(error) if is_about_the_key(error) => {
            let advice = format!(
                "check that the key is enabled, and that its policy and IAM allow kms:Decrypt to you, and kms:Decrypt and \
                 kms:GenerateDataKey to the function's role; the key is {key}"
            );
            let what = format!("the value cannot be decrypted: {error}");
            match error {
                // denied to the operator, but perhaps not to the function
                aws::Error::Denied { .. } => Verdict::unknown(what, Cure::advice(advice)),
                _ => Verdict::wrong(what, Cure::advice(advice)),
            }
        }
        Some(error) => Verdict::unknown(
            format!("{key}; the value cannot be read here: {error}"),
            Cure::default(),
        ),
    }
}

fn is_about_the_key(error: &aws::Error) -> bool {
    match error {
        aws::Error::Denied { message, .. } => message.to_uppercase().contains("KMS"),
        aws::Error::Refused { code, message, .. } => {
            code == "DecryptionFailure" || message.to_uppercase().contains("KMS")
        }
        _ => false,
    }
}
