//! PgBouncer's `auth_file`: a line `"user" "password"` for each user, with `"` doubled.
//!
//! Under alternating users two users log in during the overlap window, so the previous user needs a line too. The limits are
//! PgBouncer's (`include/bouncer.h`), which counts a doubled `"` twice.

use rotating_secret::Credential;
use secrecy::{ExposeSecret, SecretString};

use super::{Bytes, one_line, room};
use crate::fields::{self, Refused};

const LONGEST_USER: usize = 127;
const LONGEST_PASSWORD: usize = 2047;

pub(super) fn text(
    credential: &Credential,
    previous: Option<&Credential>,
) -> Result<Bytes, Refused> {
    let mut text = room(4 * LONGEST_PASSWORD);
    let (user, password) = fields::login(credential)?;
    line(&mut text, user, password)?;
    // under single user the old password has ended; a version without a login has no line
    let previous = previous.and_then(|previous| fields::login(previous).ok());
    if let Some((other, password)) = previous.filter(|(other, _)| *other != user) {
        // an old version that cannot be written must not stop the current one
        let before = text.len();
        if line(&mut text, other, password).is_err() {
            text.truncate(before);
        }
    }
    Ok(text)
}

fn line(text: &mut Bytes, user: &str, password: &SecretString) -> Result<(), Refused> {
    if is_verifier(password.expose_secret()) {
        return Err(Refused::new(
            "password",
            "looks like a verifier: PgBouncer cannot log in with it",
        ));
    }
    quoted(text, "username", &user.into(), LONGEST_USER)?;
    text.push(b' ');
    quoted(text, "password", password, LONGEST_PASSWORD)?;
    text.push(b'\n');
    Ok(())
}

fn quoted(
    text: &mut Bytes,
    key: &str,
    value: &SecretString,
    longest: usize,
) -> Result<(), Refused> {
    let value = one_line(key, value)?;
    if value.is_empty() {
        return Err(Refused::new(key, "is empty"));
    }
    if value.len() + value.matches('"').count() > longest {
        return Err(Refused::new(
            key,
            format!("is too long: PgBouncer reads {longest} bytes"),
        ));
    }
    text.push(b'"');
    for byte in value.bytes() {
        if byte == b'"' {
            text.push(byte);
        }
        text.push(byte);
    }
    text.push(b'"');
    Ok(())
}

/// Whether PgBouncer reads the password as a verifier.
fn is_verifier(password: &str) -> bool {
    let md5 = password.strip_prefix("md5");
    let is_md5 = |hash: &str| hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    md5.is_some_and(is_md5) || password.starts_with("SCRAM-SHA-256$")
}
