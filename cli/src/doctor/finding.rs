//! The result of a check, and how it is printed.

use std::fmt::Write as _;

use console::style;
use secret_rotation::{document::Document, engine::EngineError};
use serde::Serialize;

use crate::{
    shell::Command,
    terminal::{hanging, printable},
};

/// The column where the text begins, after the verdict and the name of the check.
const MARGIN: usize = 24;

/// One line of the report.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// A stable word for scripts.
    check: &'static str,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
}

/// The result of a check.
#[derive(Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok { what: String },
    /// It works, but an operator should look.
    Warning { what: String, cure: Cure },
    /// It does not work, or will stop working.
    Wrong { what: String, cure: Cure },
    /// It cannot be found out from here; it may be correct.
    Unknown { what: String, cure: Cure },
    /// It was not checked, because another check failed.
    Skipped { what: String },
}

/// What to do.
#[derive(Debug, Default, Serialize)]
pub(super) struct Cure {
    /// In words.
    advice: String,
    /// Commands to run unchanged.
    commands: Vec<Command>,
    /// The repair that `--repair` makes.
    #[serde(skip)]
    pub(super) repair: Option<Repair>,
}

/// A repair that `--repair` can make.
#[derive(Debug)]
pub(super) enum Repair {
    /// Gives up a rotation.
    TakePendingOff { pending: String },
    /// Ends a rotation as finishSecret does.
    Promote { pending: String, current: String },
    /// Sets the role's password to the stored one, as administrator.
    Restore {
        administrator: String,
        document: Box<Document>,
    },
    /// Stores the password of the database, after a successful login with it.
    Store {
        secret: String,
        document: Box<Document>,
    },
}

impl Finding {
    pub(super) fn new(check: &'static str, verdict: Verdict) -> Self {
        Self { check, verdict }
    }

    /// Several skipped checks with the same reason.
    pub(super) fn skipped(checks: &[&'static str], why: &str) -> Vec<Self> {
        let skip = |check| Self::new(check, Verdict::skipped(why));
        checks.iter().map(|check| skip(*check)).collect()
    }

    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.verdict, Verdict::Wrong { .. })
    }

    /// Whether the checks that need this one must be skipped.
    pub(super) fn blocks(&self) -> bool {
        self.is_wrong() || self.is_unknown()
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.verdict, Verdict::Unknown { .. })
    }

    pub(super) fn is_skipped(&self) -> bool {
        matches!(self.verdict, Verdict::Skipped { .. })
    }

    /// The repair that `--repair` may offer, if there is one.
    pub(super) fn repair(&self) -> Option<&Repair> {
        match &self.verdict {
            Verdict::Warning { cure, .. } | Verdict::Wrong { cure, .. } => cure.repair.as_ref(),
            Verdict::Ok { .. } | Verdict::Unknown { .. } | Verdict::Skipped { .. } => None,
        }
    }

    /// The finding as lines: verdict and text, and below them what to do.
    pub(super) fn lines(&self, colours: bool, width: Option<usize>) -> String {
        let (word, what, cure) = match &self.verdict {
            Verdict::Ok { what } => (style("ok").green(), what, None),
            Verdict::Warning { what, cure } => (style("warning").yellow(), what, Some(cure)),
            Verdict::Wrong { what, cure } => (style("wrong").red(), what, Some(cure)),
            Verdict::Unknown { what, cure } => (style("unknown").magenta(), what, Some(cure)),
            Verdict::Skipped { what } => (style("skipped").dim(), what, None),
        };
        let (word, check) = (word.force_styling(colours), self.check);
        let fit = |text: String| hanging(&text, MARGIN, width);
        let mut lines = fit(format!("{word:<8} {check:<14} {}", printable(what)));
        let indent = " ".repeat(MARGIN);
        if let Some(cure) = cure {
            if !cure.advice.is_empty() {
                let advice = fit(format!("{indent}{}", printable(&cure.advice)));
                // a write to a String cannot fail
                let _ = write!(lines, "\n{advice}");
            }
            // a command stays on one line: people copy it
            for command in &cure.commands {
                let _ = write!(lines, "\n{indent}  {}", command.line());
            }
        }
        lines
    }
}

impl Verdict {
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self::Ok { what: what.into() }
    }

    pub(super) fn warning(what: impl Into<String>, cure: Cure) -> Self {
        Self::Warning {
            what: what.into(),
            cure,
        }
    }

    pub(super) fn wrong(what: impl Into<String>, cure: Cure) -> Self {
        Self::Wrong {
            what: what.into(),
            cure,
        }
    }

    pub(super) fn unknown(what: impl Into<String>, cure: Cure) -> Self {
        Self::Unknown {
            what: what.into(),
            cure,
        }
    }

    /// The verdict for an error of the server or service. An error that gives no answer is unknown, not wrong.
    pub(super) fn of(error: &EngineError) -> Self {
        match error {
            EngineError::Unreachable { server, reason }
            | EngineError::ServiceUnreachable { server, reason, .. } => {
                let what = format!("{server} cannot be reached from here ({reason})");
                Self::unknown(what, Cure::default())
            }
            // a file on this machine: the function does not use it
            EngineError::Roots { reason } => {
                let what = format!("the CA file of this machine cannot be used ({reason})");
                let advice = "correct --ca-file or TLS_CA_FILE here, and run doctor again";
                Self::unknown(what, Cure::advice(advice))
            }
            // this depends on this machine's address or name server; the function may get another answer
            error @ (EngineError::TimedOut { .. }
            | EngineError::LoginForbidden { .. }
            | EngineError::ServiceTimedOut { .. }
            | EngineError::AddressNotAllowed { .. }) => {
                Self::unknown(error.to_string(), Cure::default())
            }
            error => Self::wrong(error.to_string(), Cure::default()),
        }
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped { what: why.into() }
    }

    /// The text.
    pub(super) fn what(&self) -> &str {
        match self {
            Self::Ok { what }
            | Self::Warning { what, .. }
            | Self::Wrong { what, .. }
            | Self::Unknown { what, .. }
            | Self::Skipped { what } => what,
        }
    }
}

impl Cure {
    /// Advice without a command.
    pub(super) fn advice(advice: impl Into<String>) -> Self {
        Self {
            advice: advice.into(),
            ..Self::default()
        }
    }

    pub(super) fn command(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }

    pub(super) fn repair(self, repair: Repair) -> Self {
        Self {
            repair: Some(repair),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let hostile = "app\u{1b}[2J\r\n\u{9b}ok";
        let cure = Cure::advice(hostile).command(Command::Psql(hostile.to_owned()));
        let lines = Finding::new("check", Verdict::wrong(hostile, cure)).lines(false, None);
        assert_eq!(lines.lines().count(), 3, "{lines:?}");
        let shown = lines.replace('\n', "");
        assert!(!shown.chars().any(char::is_control), "{lines:?}");
        assert_eq!(lines.matches("app\u{fffd}[2J").count(), 3, "{lines:?}");
    }
}
