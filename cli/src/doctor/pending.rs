//! Whether the labels are legal, and what becomes of an AWSPENDING that was left over.
//!
//! While AWSPENDING is on another version than AWSCURRENT, RotateSecret refuses: a rotation that was given up keeps every later
//! one from beginning. Two ends are safe, and which one is the right one the server decides: what logs in, stays.

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

/// What is done about an AWSPENDING that was left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// AWSCURRENT is in force, or AWSPREVIOUS is, by which the next rotation gets in: the pending version is given up.
    TakeOff,
    /// The database has the pending one already: it becomes AWSCURRENT, as finishSecret would have made it.
    Promote,
    /// Nothing logs in: that comes first, and storing a value takes AWSPENDING off.
    MendFirst,
    /// The server was not asked, or did not say.
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

/// What the versions with the labels came to, as in [`Labels`]; [`Said::Rejected`] where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logins {
    pub(super) current: Said,
    pub(super) pending: Said,
    pub(super) previous: Said,
}

impl Logins {
    /// Nothing was asked.
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
        let advice = "store the credential, as a file, and rotate:";
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
        let advice = "the next rotation puts AWSPREVIOUS where it belongs";
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
            "if it is still there after {}, it was given up, and doctor tells what to do",
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
                "what it holds is not needed: take it off, then rotate (--repair does the first):";
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
            let advice = "the database has its password already: make it AWSCURRENT, as finishSecret would have (--repair \
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
        End::MendFirst => Cure::advice("mend AWSCURRENT first, as told above; then see again"),
        End::Unknown => Cure::advice(
            "whether it is to be taken off or made AWSCURRENT depends on which of the two logs in, and that could not be found \
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
    fn what_logs_in_stays() {
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
    fn a_rotation_that_moved_a_moment_ago_is_in_flight_and_is_left_alone() {
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
