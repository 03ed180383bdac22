//! Whether the labels are legal, and what to do about an old AWSPENDING.
//!
//! RotateSecret refuses while AWSPENDING is on another version than AWSCURRENT: an abandoned rotation blocks all later ones. There are
//! two safe repairs. The server decides between them: the version that logs in stays.

use std::time::SystemTime;

use super::{
    finding::{Cure, Repair, Verdict},
    labels::Labels,
    versions::Said,
};
use crate::{
    shell::Shell,
    terminal::{moment, span},
};

/// What to do about an old AWSPENDING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Remove the label: AWSCURRENT logs in, or AWSPREVIOUS does, and the next rotation can use it.
    TakeOff,
    /// Make it AWSCURRENT, as finishSecret does: the database already has its password.
    Promote,
    /// No version logs in: repair that first. A stored value then removes AWSPENDING.
    MendFirst,
    /// The server was not asked, or its answer was not clear.
    Unknown,
}

fn end(current: Said, pending: Said, previous: Said) -> End {
    match (current, pending, previous) {
        (Said::LogsIn, _, _) => End::TakeOff,
        (Said::Rejected, Said::LogsIn, _) => End::Promote,
        (Said::Rejected, Said::Rejected, Said::LogsIn) => End::TakeOff,
        (Said::Rejected, Said::Rejected, Said::Rejected) => End::MendFirst,
        _ => End::Unknown,
    }
}

/// The login results of the versions in [`Labels`]. [`Said::Rejected`] if there is no such version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logins {
    pub(super) current: Said,
    pub(super) pending: Said,
    pub(super) previous: Said,
}

impl Logins {
    /// No login was tried.
    pub(super) const UNKNOWN: Self = Self {
        current: Said::Unknown,
        pending: Said::Unknown,
        previous: Said::Unknown,
    };
}

/// Whether the labels are in a legal state.
pub(super) fn labels(
    labels: &Labels<'_>,
    logins: Logins,
    shell: &Shell,
    now: SystemTime,
) -> Verdict {
    let Some(current) = labels.current else {
        let advice = "write the credential to a file, store it, then rotate:";
        let store = shell.secrets_manager(
            "put-secret-value",
            &["--secret-string", "file://secret.json"],
        );
        return Verdict::wrong(
            "no version is AWSCURRENT",
            Cure::advice(advice).command(store),
        );
    };
    if labels.previous == Some(current) {
        let advice = "the next rotation corrects AWSPREVIOUS";
        return Verdict::warning(
            "AWSPREVIOUS is on AWSCURRENT's version",
            Cure::advice(advice),
        );
    }
    let Some(pending) = labels.pending else {
        return Verdict::ok("no rotation is in flight");
    };
    let since = labels.changed.unwrap_or(now);
    if labels.in_flight(now) {
        let age = now.duration_since(since).unwrap_or_default();
        let what = format!(
            "a rotation is in flight: AWSPENDING is on {pending} since {}",
            span(age)
        );
        let advice = format!(
            "if AWSPENDING is still there after {}, the service has given the rotation up: run doctor again",
            span(labels.patience)
        );
        return Verdict::warning(what, Cure::advice(advice));
    }
    let what = format!(
        "AWSPENDING was left over on {pending}, on {}: no rotation can begin",
        moment(since)
    );
    Verdict::wrong(
        what,
        cure(
            end(logins.current, logins.pending, logins.previous),
            current,
            pending,
            shell,
        ),
    )
}

fn cure(end: End, current: &str, pending: &str, shell: &Shell) -> Cure {
    let stage = |words: &[&str]| shell.secrets_manager("update-secret-version-stage", words);
    match end {
        End::TakeOff => {
            let advice =
                "its value is not needed: remove the label (--repair does that), then rotate:";
            Cure::advice(advice)
                .command(stage(&[
                    "--version-stage",
                    "AWSPENDING",
                    "--remove-from-version-id",
                    pending,
                ]))
                .command(shell.secrets_manager("rotate-secret", &[]))
                .repair(Repair::TakePendingOff {
                    pending: pending.to_owned(),
                })
        }
        End::Promote => {
            let advice = "the database already has its password: make it AWSCURRENT, as finishSecret does (--repair \
                          does):";
            let (to, from) = (
                ["--move-to-version-id", pending],
                ["--remove-from-version-id", current],
            );
            let words = [&["--version-stage", "AWSCURRENT"][..], &to, &from].concat();
            Cure::advice(advice)
                .command(stage(&words))
                .repair(Repair::Promote {
                    pending: pending.to_owned(),
                    current: current.to_owned(),
                })
        }
        End::MendFirst => {
            Cure::advice("repair AWSCURRENT first, as described above; then run doctor again")
        }
        End::Unknown => Cure::advice(
            "whether to remove it or to make it AWSCURRENT depends on which of the two logs in, and that could not be found \
             out from here",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15 * 60);
    use crate::aws::AwsArguments;

    #[test]
    fn a_version_that_logs_in_keeps_its_label() {
        use Said::{LogsIn, Rejected, Unknown};
        for (current, pending, previous, expected) in [
            (LogsIn, Rejected, Rejected, End::TakeOff),
            (LogsIn, LogsIn, LogsIn, End::TakeOff),
            (LogsIn, Unknown, Unknown, End::TakeOff),
            (Rejected, LogsIn, Rejected, End::Promote),
            (Rejected, LogsIn, Unknown, End::Promote),
            (Rejected, Rejected, LogsIn, End::TakeOff),
            (Rejected, Rejected, Rejected, End::MendFirst),
            (Rejected, Rejected, Unknown, End::Unknown),
            (Rejected, Unknown, LogsIn, End::Unknown),
            (Unknown, LogsIn, LogsIn, End::Unknown),
            (Unknown, Rejected, Rejected, End::Unknown),
        ] {
            assert_eq!(
                end(current, pending, previous),
                expected,
                "{current:?} {pending:?} {previous:?}"
            );
        }
    }

    #[test]
    fn a_rotation_with_a_recent_change_is_in_flight_and_is_left_alone() {
        let arguments = AwsArguments {
            region: None,
            profile: None,
            endpoint_url: None,
            ..AwsArguments::default()
        };
        let shell = Shell::new("secret", None, &arguments);
        let now = SystemTime::now();
        let verdict = |age| {
            let state = Labels {
                current: Some("one"),
                pending: Some("two"),
                previous: None,
                changed: Some(now - age),
                patience: PATIENCE,
            };
            let logins = Logins {
                current: Said::LogsIn,
                pending: Said::Rejected,
                previous: Said::Rejected,
            };
            labels(&state, logins, &shell, now)
        };
        let Verdict::Warning { cure, .. } = verdict(PATIENCE - Duration::from_secs(1)) else {
            panic!("in flight");
        };
        assert!(cure.repair.is_none());
        assert!(matches!(verdict(PATIENCE), Verdict::Wrong { .. }));
    }
}
