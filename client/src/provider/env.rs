//! Environment variables and `.env`, for local work: no store, no rotation.

use std::{
    env::{self, VarError},
    io,
    path::PathBuf,
};

use super::{ProviderError, ProviderErrorKind, SecretProvider, Stage, Version};

/// Reads a secret from the environment variable of its name, or from a file of `NAME=value` lines.
///
/// The name is the secret's id in capitals, with `_` for each character that a variable's name can't have: `orders/db` is
/// `ORDERS_DB`. The environment comes before the file, as in dotenv tools. The file is read at each fetch, so an edit works
/// like a rotation.
#[derive(Clone, Debug)]
pub struct Env {
    file: PathBuf,
}

impl Default for Env {
    fn default() -> Self {
        Self::new()
    }
}

impl Env {
    /// The environment, and `.env` in the working directory if it exists.
    pub fn new() -> Self {
        Self::with_file(".env")
    }

    /// The environment, and this file if it exists.
    pub fn with_file(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    fn read(&self, variable: &str) -> Result<Option<String>, ProviderError> {
        let invalid = |message| ProviderError::new(ProviderErrorKind::Invalid, message);
        match env::var(variable) {
            Ok(value) => return Ok(Some(value)),
            Err(VarError::NotUnicode(_)) => {
                return Err(invalid(format!(
                    "{variable} is not UTF-8: encode its value"
                )));
            }
            Err(VarError::NotPresent) => {}
        }
        // its errors quote the line, which may be a secret
        let unreadable = || {
            let file = self.file.display();
            invalid(format!(
                "{file} cannot be read: write one NAME=value a line, quoted where it has spaces"
            ))
        };
        let lines = match dotenvy::from_path_iter(&self.file) {
            Ok(lines) => lines,
            Err(dotenvy::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(_) => return Err(unreadable()),
        };
        for line in lines {
            let (name, value) = line.map_err(|_| unreadable())?;
            if name == variable {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

impl SecretProvider for Env {
    async fn fetch(&self, secret: &str, stage: Stage) -> Result<Version, ProviderError> {
        let variable = variable(secret);
        let value = match stage {
            Stage::Current => self.read(&variable)?,
            Stage::Pending | Stage::Previous => None,
        };
        let value = value.ok_or_else(|| {
            let file = self.file.display();
            let message =
                format!("neither the environment nor {file} has {variable}: set it in one of them");
            ProviderError::new(ProviderErrorKind::NotFound, message)
        })?;
        // there is no version to name, so the value is its own version
        Ok(Version::text(super::fingerprint(&value), value))
    }
}

fn variable(secret: &str) -> String {
    let name = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' => character.to_ascii_uppercase(),
        _ => '_',
    };
    secret.chars().map(name).collect()
}
