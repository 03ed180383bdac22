//! Whether the overlap of a rotation ends before the next one.
//!
//! A rotation gives the previous user a new password. If the schedule is shorter than the overlap window, clients with the old password
//! are locked out.

use std::time::Duration;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use secret_rotation::{
    document::{Document, Overlap, Strategy},
    settings::Settings,
};

use super::{
    clients::window,
    finding::{Cure, Verdict},
};
use crate::shell::Shell;
use crate::{schedule::Interval, terminal::span};

const DAY: u64 = 24 * 60 * 60;

/// Compares the schedule with the overlap window. None without alternating users or without a schedule.
pub(super) fn schedule(
    secret: &DescribeSecretOutput,
    document: &Document,
    settings: Option<&Settings>,
    shell: &Shell,
) -> Option<Verdict> {
    let two_users = document.strategy() == Strategy::AlternatingUsers;
    let rules = secret.rotation_rules().filter(|_| two_users)?;
    let (expression, days) = (
        rules.schedule_expression(),
        rules.automatically_after_days(),
    );
    let every = Interval::read(expression, days)?;
    let Some(length) = every.length else {
        let what = format!(
            "{} does not say how often it rotates, so it cannot be compared with the overlap",
            every.text
        );
        return Some(Verdict::skipped(what));
    };
    let every = every.text;
    Some(match window(document, settings) {
        None => Verdict::skipped("the function's OVERLAP_WINDOW is not known"),
        Some(Overlap::Unbounded) => Verdict::ok(format!(
            "rotates every {every}, and the overlap ends only with the next rotation"
        )),
        Some(Overlap::Bounded(window)) if length < window => Verdict::warning(
            format!(
                "rotates every {every}, but the overlap is {}: each rotation ends an overlap early",
                span(window)
            ),
            longer(window, shell),
        ),
        Some(Overlap::Bounded(window)) => Verdict::ok(format!(
            "rotates every {every}, and the overlap is {}",
            span(window)
        )),
    })
}

/// The command that changes the schedule without a rotation now: that would be inside the overlap.
fn longer(window: Duration, shell: &Shell) -> Cure {
    let days = window.as_secs().div_ceil(DAY);
    let rules = format!("AutomaticallyAfterDays={days}");
    let words = ["--no-rotate-immediately", "--rotation-rules", &rules];
    Cure::advice(
        "shorten OVERLAP_WINDOW or the secret's \"overlap\", or have it rotate less often:",
    )
    .command(shell.secrets_manager("rotate-secret", &words))
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::types::RotationRulesType;

    use super::*;

    fn verdict(rate: Option<&str>, overlap: Option<&str>, more: &str) -> Option<Verdict> {
        let rules = RotationRulesType::builder().set_schedule_expression(rate.map(str::to_owned));
        let secret = DescribeSecretOutput::builder().rotation_rules(rules.build());
        let json = format!(r#"{{"host":"db","username":"app","password":"x"{more}}}"#);
        let document = Document::parse(&json.into()).unwrap();
        let settings = overlap.map(|overlap| {
            let variable = |name: &str| (name == "OVERLAP_WINDOW").then(|| overlap.to_owned());
            Settings::read(variable).unwrap()
        });
        let shell = Shell::new("orders/db", None, &crate::aws::AwsArguments::default());
        schedule(&secret.build(), &document, settings.as_ref(), &shell)
    }

    #[test]
    fn a_schedule_must_be_as_long_as_the_overlap_of_two_users() {
        let two_users = r#","masterarn":"admin""#;
        let own_window = r#","masterarn":"admin","overlap":"2h""#;
        let (hours, days) = (Some("rate(4 hours)"), Some("rate(1 day)"));
        let cron = Some("cron(0 8 1 * ? *)");
        for (rate, overlap, more, expected) in [
            (hours, Some("24h"), two_users, "warning"),
            (days, Some("25h"), two_users, "warning"),
            (days, Some("24h"), two_users, "ok"),
            (hours, Some("24h"), own_window, "ok"),
            (hours, None, own_window, "ok"),
            (hours, None, two_users, "skipped"),
            (hours, Some("unbounded"), two_users, "ok"),
            (cron, Some("24h"), two_users, "skipped"),
            (hours, Some("24h"), "", "nothing"), // single user
            (None, Some("24h"), two_users, "nothing"),
        ] {
            let word = match verdict(rate, overlap, more) {
                Some(Verdict::Ok { .. }) => "ok",
                Some(Verdict::Warning { .. }) => "warning",
                Some(Verdict::Skipped { .. }) => "skipped",
                Some(Verdict::Wrong { .. } | Verdict::Unknown { .. }) => "another one",
                None => "nothing",
            };
            assert_eq!(word, expected, "{rate:?} {overlap:?} {more}");
        }
    }
}
