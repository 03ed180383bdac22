//! The result of a command that lists secrets, as a table or as JSON.

use std::io;

use serde::Serialize;

use crate::{aws, terminal};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A service of AWS failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The result could not be written.
    #[error("the result cannot be written ({0}): check where stdout goes")]
    Output(#[from] io::Error),
}

/// Prints the report.
///
/// # Errors
///
/// The report cannot be written.
pub(crate) fn print<R: Serialize>(
    report: &R,
    json: bool,
    table: impl FnOnce(&R) -> io::Result<()>,
) -> Result<(), Error> {
    if json {
        terminal::print_json(report)?;
    } else {
        table(report)?;
    }
    Ok(())
}
