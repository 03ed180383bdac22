//! Asks before the command does something that cannot be undone.

use std::io::{self, IsTerminal};

use crate::terminal::tell;

/// Why the command does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    /// There is no terminal to ask in.
    #[error(
        "cannot ask for confirmation: stdin is not a terminal. Nothing was done: confirm with --yes"
    )]
    NobodyToAsk,
    /// The answer was no.
    #[error("nothing was done: the answer was no")]
    Declined,
}

/// Says what will happen and asks, unless `yes` is set.
///
/// # Errors
///
/// There is no terminal, or the answer was no.
pub fn confirm(about: &str, question: &str, yes: bool) -> Result<(), NotConfirmed> {
    tell(about);
    if yes {
        return Ok(());
    }
    // the question is on stderr, the answer on stdin
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
