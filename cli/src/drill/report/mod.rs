//! The report: one HTML file that loads nothing and runs nothing, to be mailed, archived, or opened on a phone.

mod frame;
mod page;
mod plots;

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use local::rehearsal::Rehearsal;

use super::Error;

/// To be found out before a password is changed.
pub(super) fn check_writable(file: &Path) -> Result<(), Error> {
    let opened = File::options().append(true).create(true).open(file);
    opened.map(drop).map_err(|reason| unwritable(file, reason))
}

/// Draws and writes.
pub(super) fn write(file: &Path, rehearsals: &[Rehearsal]) -> Result<(), Error> {
    let page = page::page(rehearsals)?;
    fs::write(file, page).map_err(|reason| unwritable(file, reason))
}

fn unwritable(file: &Path, reason: io::Error) -> Error {
    Error::Report {
        file: file.to_owned(),
        reason,
    }
}
