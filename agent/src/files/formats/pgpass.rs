//! libpq's password file: one line, `host:port:database:user:password`, with `\` before `:` and `\`.
//!
//! The database is `*`: a password belongs to a role, not to a database. libpq's source (`passwordFromFile`, PostgreSQL 15) drops
//! carriage returns at a line's end, reads a line that starts with `#` as a comment, and a field `*` as any value.

use rotating_secret::Credential;
use secrecy::{ExposeSecret, SecretString};

use super::{Bytes, one_line, room};
use crate::fields::{self, Refused};

pub(super) fn text(credential: &Credential) -> Result<Bytes, Refused> {
    let (user, password) = fields::login(credential)?;
    let host = credential
        .host()
        .ok_or_else(|| Refused::new("host", "is not in the document"))?;
    if host.starts_with('#') {
        return Err(Refused::new("host", "begins with #, as a comment does"));
    }
    if password.expose_secret().is_empty() {
        return Err(Refused::new(
            "password",
            "is empty, which libpq reads as absent",
        ));
    }
    let mut text = room(2 * (user.len() + host.len() + password.expose_secret().len()));
    field(&mut text, "host", &host.into())?;
    text.extend_from_slice(format!(":{}:*:", credential.port()).as_bytes());
    field(&mut text, "username", &user.into())?;
    text.push(b':');
    field(&mut text, "password", password)?;
    text.push(b'\n');
    Ok(text)
}

fn field(text: &mut Bytes, key: &str, value: &SecretString) -> Result<(), Refused> {
    let value = one_line(key, value)?;
    if value == "*" {
        text.push(b'\\');
    }
    for byte in value.bytes() {
        if matches!(byte, b':' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    Ok(())
}
