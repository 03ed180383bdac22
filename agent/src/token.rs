//! The token: what a request carries to show that its sender may read this machine's secrets.

use std::{env, fs};

use axum::http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::Error;

/// A shorter token can be guessed.
const SHORTEST: usize = 8;

/// What opens the agent.
#[derive(Debug)]
pub struct Token(SecretString);

impl Token {
    /// The first of these variables that is set counts, even if it is empty. `file://PATH` is read from that file, and trimmed.
    ///
    /// # Errors
    ///
    /// None is set, the file cannot be read, or the token is shorter than 8 characters.
    pub fn from_environment(variables: &[String]) -> Result<Self, Error> {
        Self::read(variables, |name| env::var(name).ok())
    }

    fn read(variables: &[String], get: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = variables.iter().find_map(|name| Some((name, get(name)?)));
        let Some((name, value)) = set else {
            let variables = variables.to_vec();
            return Err(Error::NoToken { variables });
        };
        let token = match value.strip_prefix("file://") {
            None => SecretString::from(value),
            Some(path) => {
                let read = fs::read_to_string(path).map(SecretString::from);
                let read = read.map_err(|source| Error::TokenFile {
                    variable: name.clone(),
                    path: path.to_owned(),
                    source,
                })?;
                SecretString::from(read.expose_secret().trim())
            }
        };
        let length = token.expose_secret().trim().chars().count();
        if length < SHORTEST {
            let variable = name.clone();
            return Err(Error::WeakToken { variable, length });
        }
        Ok(Self(token))
    }

    #[cfg(test)]
    pub(crate) fn of(token: &str) -> Self {
        Self(token.into())
    }

    /// Whether these bytes are the token. How long it takes shows the length, and nothing else.
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(given).into()
    }

    /// Whether one of these headers carries the token. Of a repeated header the first value counts.
    pub fn is_in(&self, headers: &HeaderMap, names: &[HeaderName]) -> bool {
        let mut given = names.iter().filter_map(|name| headers.get(name));
        given.any(|value| self.is(value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
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
    fn debug_shows_no_token() {
        let token = read(&[("AWS_TOKEN", "s3cret-token")]).unwrap();
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
