//! Lines `NAME=value` that a POSIX shell's `.` and dotenv (Compose's, Python's, Rust's) read the same.
//!
//! Harmless characters need no quotes. Everything else gets single quotes: no reader expands anything there, but some read `\` before
//! `'` or `\` as an escape, and a shell does not. A value with `'` gets double quotes, if no reader expands anything in it. A value that
//! no quoting fits for all readers is refused.

use secrecy::{ExposeSecret, SecretString};

use super::{Bytes, one_line, room};
use crate::fields::Refused;

pub(super) fn text<N: AsRef<str>>(values: &[(N, SecretString)]) -> Result<Bytes, Refused> {
    let length = values
        .iter()
        .map(|(name, value)| name.as_ref().len() + value.expose_secret().len() + 4);
    let mut text = room(length.sum());
    for (name, value) in values {
        let name = name.as_ref();
        let value = one_line(name, value)?;
        let quote = quote(value).ok_or_else(|| {
            Refused::new(name, "has ' together with one of \\ $ ` \", or \\ before \\ or at its end: a shell and dotenv differ there")
        })?;
        for part in [name, "=", quote, value, quote, "\n"] {
            text.extend_from_slice(part.as_bytes());
        }
    }
    Ok(text)
}

/// The quotes that this value needs.
fn quote(value: &str) -> Option<&'static str> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@%+,=".contains(letter);
    if value.chars().all(is_plain) {
        return Some("");
    }
    if !value.contains('\'') {
        let is_escape = value.contains(r"\\") || value.ends_with('\\');
        return (!is_escape).then_some("'");
    }
    (!value.contains(['\\', '$', '`', '"'])).then_some("\"")
}
