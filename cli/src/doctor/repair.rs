//! The repairs of `--repair`: one at a time, with a question before each.

use std::io::{self, IsTerminal, Write};

use aws_sdk_secretsmanager::Client;
use console::Term;
use secrecy::{ExposeSecret, SecretString};
use secret_rotation::{
    document::Document,
    engine::{EngineError, postgres::Postgres},
    settings::Administrators,
};

use super::{
    finding::Repair,
    versions::{Answer, log_in},
};
use crate::{
    aws::{self, explain},
    terminal::printable,
};

/// Why a repair failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Error {
    /// A call to Secrets Manager failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The database gave no answer, or refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The typed password is wrong.
    #[error(
        "the server rejects that password for {user} (28P01), and nothing was stored: try again with the right one"
    )]
    Rejected { user: String },
    /// The typed password could not be tried.
    #[error("it is unknown whether that password logs in, so nothing was stored: {why}")]
    Untried { why: String },
    /// No password was typed.
    #[error("no password was given, and nothing was stored: type it, or pipe it into stdin")]
    NoPassword,
    /// The administrator's secret cannot be used.
    #[error("{0}")]
    Administrator(String),
    /// The new document cannot be serialized.
    #[error("the document cannot be written as JSON ({0}): report this as a fault of rotatectl")]
    Unwritable(#[from] serde_json::Error),
    /// The terminal failed.
    #[error("cannot ask ({0}): run the command in a terminal, or with --yes")]
    Ask(#[from] io::Error),
}

/// The tools of a repair.
pub(super) struct Tools<'a> {
    pub(super) client: &'a Client,
    pub(super) secret: &'a str,
    pub(super) postgres: Postgres<'a>,
    pub(super) listed: &'a Administrators,
    /// Answers yes to all questions, except those that a person must read.
    pub(super) yes: bool,
}

impl Repair {
    /// Asks, repairs, and returns a report. `None` if the answer was no.
    pub(super) async fn offer(&self, tools: &Tools<'_>) -> Result<Option<String>, Error> {
        // the administrator's credential would go to a server that no login has proven: a person must read its name
        let taken_for_answered = tools.yes && !matches!(self, Self::Restore { .. });
        if !(taken_for_answered || confirm(&self.question())?) {
            return Ok(None);
        }
        match self {
            Self::TakePendingOff { pending } => take_pending_off(tools, pending).await,
            Self::Promote { pending, current } => promote(tools, pending, current).await,
            Self::Restore {
                administrator,
                document,
            } => restore(tools, administrator, document).await,
            Self::Store { secret, document } => store(tools, secret, document).await,
        }
        .map(Some)
    }

    fn question(&self) -> String {
        match self {
            Self::TakePendingOff { pending } => format!("Remove AWSPENDING from {pending}?"),
            Self::Promote { pending, .. } => format!("Make {pending} AWSCURRENT?"),
            Self::Restore {
                administrator,
                document,
            } => format!(
                "Set the password of {} on {} to the one of AWSCURRENT, as the administrator of {administrator}?",
                document.username(),
                document.server()
            ),
            Self::Store { secret, document } => format!(
                "Store the password that {} has on {} in {secret}?",
                document.username(),
                document.server()
            ),
        }
    }
}

async fn take_pending_off(tools: &Tools<'_>, pending: &str) -> Result<String, Error> {
    let request = tools
        .client
        .update_secret_version_stage()
        .secret_id(tools.secret);
    let request = request
        .version_stage("AWSPENDING")
        .remove_from_version_id(pending);
    let taken = request.send().await;
    taken.map_err(|error| explain("secretsmanager:UpdateSecretVersionStage", error))?;
    Ok(format!(
        "AWSPENDING is removed from {pending}: rotate again"
    ))
}

async fn promote(tools: &Tools<'_>, pending: &str, current: &str) -> Result<String, Error> {
    let request = tools
        .client
        .update_secret_version_stage()
        .secret_id(tools.secret);
    let request = request
        .version_stage("AWSCURRENT")
        .move_to_version_id(pending);
    let promoted = request.remove_from_version_id(current).send().await;
    promoted.map_err(|error| explain("secretsmanager:UpdateSecretVersionStage", error))?;
    Ok(format!("{pending} is AWSCURRENT"))
}

async fn restore(
    tools: &Tools<'_>,
    administrator: &str,
    document: &Document,
) -> Result<String, Error> {
    let read =
        super::administrator::read(tools.client, administrator, document, tools.listed).await;
    let administrator = read.map_err(|verdict| Error::Administrator(verdict.what().to_owned()))?;
    tools.postgres.restore(&administrator, document).await?;
    Ok(format!(
        "{} has the password of AWSCURRENT again",
        document.username()
    ))
}

async fn store(tools: &Tools<'_>, secret: &str, document: &Document) -> Result<String, Error> {
    let user = document.username();
    let question = format!("The password of {user} on {}: ", document.server());
    let document = document.with_password(password(&question)?);
    match log_in(&tools.postgres, &document).await {
        Answer::LogsIn(_) => {}
        Answer::Rejected => {
            let user = user.to_owned();
            return Err(Error::Rejected { user });
        }
        Answer::Wrong(why) | Answer::Unknown(why) => return Err(Error::Untried { why }),
    }
    let request = tools.client.put_secret_value().secret_id(secret);
    let json = document.to_json();
    let stored = request.secret_string(json.expose_secret()).send().await;
    stored.map_err(|error| explain("secretsmanager:PutSecretValue", error))?;
    Ok(format!("the password of {user} is stored in {secret}"))
}

/// The end of stdin means no.
fn confirm(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr();
    write!(stderr, "{} [y/N] ", printable(question))?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Reads a password: hidden in a terminal, else a line of stdin.
fn password(question: &str) -> Result<SecretString, Error> {
    write!(io::stderr(), "{}", printable(question))?;
    let typed = if io::stdin().is_terminal() {
        Term::stderr().read_secure_line()?
    } else {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        line
    };
    let typed = SecretString::from(typed);
    let line = typed.expose_secret().trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Error::NoPassword);
    }
    Ok(line.into())
}
