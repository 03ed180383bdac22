//! libpq's connection service file.
//!
//! From libpq's source (`parseServiceFile`, PostgreSQL 15): a line is read into 1,024 bytes, white space at both ends is dropped, and
//! the value is the rest after the first `=`. There is no quoting and no escaping. If a key comes twice, the first counts. PostgreSQL's
//! driver for JDBC also reads these files, and ends a line at a carriage return.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::{Bytes, room};
use crate::fields::{Named, Refused};

/// The longest line, without its end.
const LONGEST: usize = 1021;

pub(super) fn text(
    service: &str,
    named: &[Named],
    more: &BTreeMap<String, String>,
) -> Result<Bytes, Refused> {
    let mut text = room(named.len() * LONGEST);
    text.extend_from_slice(format!("[{service}]\n").as_bytes());
    for (key, value) in named {
        if !more.contains_key(*key) {
            line(&mut text, key, value)?;
        }
    }
    for (key, value) in more {
        line(&mut text, key, &SecretString::from(&**value))?;
    }
    Ok(text)
}

fn line(text: &mut Bytes, key: &str, value: &SecretString) -> Result<(), Refused> {
    let value = value.expose_secret().as_bytes();
    let why = match value.last() {
        None => "is empty, which libpq reads as absent",
        _ if value
            .iter()
            .any(|byte| matches!(byte, b'\n' | b'\r' | b'\0')) =>
        {
            "has a line break or a NUL, and there is no quoting"
        }
        // C's isspace; some locales add two more
        Some(b'\t'..=b'\r' | b' ' | 0x85 | 0xa0) => "ends with white space, which libpq drops",
        _ if key.len() + 1 + value.len() > LONGEST => {
            "is too long: libpq reads lines of at most 1,021 bytes; write a pgpass"
        }
        _ => {
            for part in [key.as_bytes(), b"=", value, b"\n"] {
                text.extend_from_slice(part);
            }
            return Ok(());
        }
    };
    Err(Refused::new(key, why))
}
