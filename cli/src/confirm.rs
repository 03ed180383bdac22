//! The question before something that cannot be taken back.

use std::io::{self, IsTerminal};

use crate::terminal::tell;

/// Why it is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    /// Nobody can be asked.
    #[error(
        "there is no terminal to ask on, and nothing was done: say with --yes that it may be done"
    )]
    NobodyToAsk,
    /// The answer was no.
    #[error("nothing was done: the answer was no")]
    Declined,
}

/// Tells what is about to happen, and asks, unless `yes` says that it was answered.
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
