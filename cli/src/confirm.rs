//! Asks before the command does what cannot be undone.

use std::io::{self, IsTerminal};

use crate::terminal::tell;

/// Why it is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    /// Nobody can be asked.
    #[error(
        "cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes"
    )]
    NobodyToAsk,
    /// The answer was no.
    #[error("nothing was done: the answer was no")]
    Declined,
}

/// Says what is about to happen and asks, unless `yes` has confirmed it.
///
/// # Errors
///
/// Nobody can be asked, or the answer was no.
pub fn confirm(about: &str, question: &str, yes: bool) -> Result<(), NotConfirmed> {
    tell(about);
    if yes {
        return Ok(());
    }
    // the question is shown on stderr, and answered on stdin
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(NotConfirmed::NobodyToAsk);
    }
    let asked = dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact();
    match asked {
        Ok(true) => Ok(()),
        Ok(false) => Err(NotConfirmed::Declined),
        Err(_) => Err(NotConfirmed::NobodyToAsk),
    }
}
