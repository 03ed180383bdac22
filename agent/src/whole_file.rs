//! Reads a file that a program may replace at any time with something that is no file.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::fcntl::OFlag;
use secrecy::SecretString;

/// A longer file holds no token and no credentials.
const LONGEST: u64 = 64 * 1024;

/// The text of a file. A pipe would wait for a writer, and a device has no end.
pub(crate) fn text(path: &Path) -> io::Result<SecretString> {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = options.read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text.into())
}
