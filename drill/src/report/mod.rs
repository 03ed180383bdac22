//! The report: one HTML file that loads nothing and runs no script. It can be mailed, archived, or opened on a phone.

mod frame;
mod page;
mod picture;
mod plots;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

#[cfg(feature = "local")]
pub(crate) use self::page::STYLE;
pub use self::picture::picture;
use crate::{Error, rehearsal::Rehearsal, summary::Summary};

/// Checks that the report can be written. Call it before any password changes.
///
/// # Errors
///
/// The file cannot be written.
pub fn check_writable(file: &Path) -> Result<(), Error> {
    let opened = File::options().append(true).create(true).open(file);
    opened.map(drop).map_err(|reason| unwritable(file, reason))
}

/// Draws and writes the report. `command` repeats the drill.
///
/// # Errors
///
/// The report cannot be drawn, or the file cannot be written.
pub fn write(file: &Path, rehearsals: &[Rehearsal], command: &str) -> Result<(), Error> {
    let figures = Summary::of(rehearsals, file);
    let figures = serde_json::to_string_pretty(&figures);
    let figures = figures.map_err(|error| Error::NotDrawn(error.to_string()))?;
    let page = page::page(rehearsals, command, &figures)?;
    fs::write(file, page).map_err(|reason| unwritable(file, reason))
}

fn unwritable(file: &Path, reason: io::Error) -> Error {
    Error::Report {
        file: file.to_owned(),
        reason,
    }
}
