//! The token: a request carries it to show that its sender may read secrets here.

use std::{
    env,
    path::PathBuf,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{Error, names::shown_path, whole_file};

/// A shorter token is easy to guess.
const SHORTEST: usize = 8;

/// The tokens that an attacker tries first.
const GUESSED: [&str; 8] = [
    "password",
    "passw0rd",
    "changeme",
    "change-me",
    "12345678",
    "123456789",
    "testtoken",
    "test-token",
];

/// A token.
#[derive(Debug)]
pub struct Token {
    held: RwLock<SecretString>,
    /// The file to read again, if it came from one.
    file: Option<File>,
}

#[derive(Debug)]
struct File {
    variable: String,
    path: PathBuf,
    /// Whether the last reading failed.
    is_bad: AtomicBool,
}

impl Token {
    /// Uses the first of these variables that is set, even if it is empty. `file://PATH` reads and trims that file.
    ///
    /// # Errors
    ///
    /// None is set, the file cannot be read, or the token is easy to guess or cannot be sent.
    pub fn from_environment(variables: &[String]) -> Result<Self, Error> {
        Self::read(variables, |name| env::var(name).ok())
    }

    fn read(variables: &[String], get: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = variables.iter().find_map(|name| Some((name, get(name)?)));
        let Some((variable, value)) = set else {
            let variables = variables.to_vec();
            return Err(Error::NoToken { variables });
        };
        match value.strip_prefix("file://") {
            Some(path) => Self::of_file(variable, path),
            None => Ok(Self {
                held: RwLock::new(checked(variable, value.into())?),
                file: None,
            }),
        }
    }

    /// The token of this file. `variable` is the setting or variable that names the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or the token is easy to guess or cannot be sent.
    pub fn of_file(variable: &str, path: impl Into<PathBuf>) -> Result<Self, Error> {
        let file = File {
            variable: variable.to_owned(),
            path: path.into(),
            is_bad: AtomicBool::new(false),
        };
        Ok(Self {
            held: RwLock::new(file.read()?),
            file: Some(file),
        })
    }

    #[cfg(test)]
    pub(crate) fn of(token: &str) -> Self {
        let held = RwLock::new(token.into());
        Self { held, file: None }
    }

    /// Reads the file again. If the file is bad, the token stays, with one warning.
    pub fn follow(&self) {
        let Some(file) = &self.file else { return };
        let read = file.read();
        let was_bad = file.is_bad.swap(read.is_err(), Ordering::Relaxed);
        match read {
            Ok(token) if !self.is(token.expose_secret().as_bytes()) => {
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = token;
                tracing::info!(
                    path = shown_path(&file.path),
                    "the token file has a new token, which counts from now on"
                );
            }
            Err(error) if !was_bad => tracing::warn!(%error, "the token stays as it was"),
            _ => {}
        }
    }

    /// Whether another token is the same.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        let held = other.held.read().unwrap_or_else(PoisonError::into_inner);
        self.is(held.expose_secret().as_bytes())
    }

    /// Whether these bytes are the token. The time that this takes shows only the length.
    pub fn is(&self, given: &[u8]) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.expose_secret().as_bytes().ct_eq(given).into()
    }
}

impl File {
    fn read(&self) -> Result<SecretString, Error> {
        // the program that reads the token may be able to replace its file
        let read = whole_file::text(&self.path).map_err(|source| Error::TokenFile {
            variable: self.variable.clone(),
            path: self.path.clone(),
            source,
        })?;
        checked(&self.variable, read.expose_secret().trim().into())
    }
}

fn checked(variable: &str, token: SecretString) -> Result<SecretString, Error> {
    let (text, variable) = (token.expose_secret(), variable.to_owned());
    let length = text.trim().chars().count();
    if length < SHORTEST {
        return Err(Error::WeakToken { variable, length });
    }
    let is_repeated = text.bytes().all(|byte| Some(byte) == text.bytes().next());
    if is_repeated || GUESSED.contains(&&*text.to_lowercase()) {
        return Err(Error::GuessedToken { variable });
    }
    // blanks at the ends of a header are no part of its value
    if !text.is_ascii() || text.trim() != text || HeaderValue::from_str(text).is_err() {
        return Err(Error::UnsentToken { variable });
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Token, Error> {
        let variables = ["AWS_TOKEN", "AWS_SESSION_TOKEN"].map(str::to_owned);
        let get = |name: &str| {
            let found = set.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Token::read(&variables, get)
    }

    #[test]
    fn the_first_variable_that_is_set_counts_and_an_empty_or_short_token_opens_nothing() {
        let token = read(&[
            ("AWS_SESSION_TOKEN", "second-token"),
            ("AWS_TOKEN", "first-token"),
        ]);
        assert!(token.unwrap().is(b"first-token"));
        assert!(matches!(read(&[]), Err(Error::NoToken { .. })));
        for weak in ["", "seven77", "       \t    "] {
            let refused = read(&[("AWS_TOKEN", weak), ("AWS_SESSION_TOKEN", "second-token")]);
            assert!(matches!(refused, Err(Error::WeakToken { .. })), "{weak:?}");
        }
    }

    #[test]
    fn a_file_is_trimmed_and_one_that_is_empty_or_absent_ends_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "\n token-of-a-file \n").unwrap();
        let named = format!("file://{}", path.display());
        assert!(
            read(&[("AWS_TOKEN", &named)])
                .unwrap()
                .is(b"token-of-a-file")
        );
        fs::write(&path, "\n").unwrap();
        let empty = read(&[("AWS_TOKEN", &named)]);
        assert!(matches!(empty, Err(Error::WeakToken { .. })));
        fs::remove_file(&path).unwrap();
        let absent = read(&[("AWS_TOKEN", &named)]).unwrap_err();
        assert!(absent.to_string().contains("AWS_TOKEN"), "{absent}");
    }

    #[test]
    fn a_token_that_anyone_tries_and_one_that_no_header_carries_end_the_start() {
        for guessed in ["password", "ChangeMe", "00000000", "aaaaaaaaaaaaaaaaaaaa"] {
            let refused = read(&[("AWS_TOKEN", guessed)]);
            assert!(
                matches!(refused, Err(Error::GuessedToken { .. })),
                "{guessed}"
            );
        }
        for unsent in [
            "a-g00d-token\n",
            " a-g00d-token",
            "a-g00d\u{0}token",
            "a-gööd-token",
        ] {
            let refused = read(&[("AWS_TOKEN", unsent)]);
            assert!(
                matches!(refused, Err(Error::UnsentToken { .. })),
                "{unsent:?}"
            );
        }
    }

    #[test]
    fn a_file_that_changes_is_followed_and_one_that_is_bad_for_a_moment_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "the-first-token").unwrap();
        let named = format!("file://{}", path.display());
        let token = read(&[("AWS_TOKEN", &named)]).unwrap();
        for bad in ["", "short", "password"] {
            fs::write(&path, bad).unwrap();
            token.follow();
            assert!(token.is(b"the-first-token"), "{bad}");
        }
        fs::remove_file(&path).unwrap();
        token.follow();
        assert!(token.is(b"the-first-token") && !token.is(b""));
        fs::write(&path, "the-second-token\n").unwrap();
        token.follow();
        assert!(token.is(b"the-second-token") && !token.is(b"the-first-token"));
    }

    #[test]
    fn debug_shows_no_token() {
        let token = read(&[("AWS_TOKEN", "s3cret-token")]).unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
