//! The formats: each writes a version so that its reader reads the same values, or refuses it.
//!
//! | format | reader |
//! |---|---|
//! | `pg_service` | libpq |
//! | `pgpass` | libpq |
//! | `userlist` | PgBouncer |
//! | `env` | a shell, and dotenv |

mod env;
mod pg_service;
mod pgpass;
mod userlist;

use std::{collections::HashMap, time::SystemTime};

use rotating_secret::Credential;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::de::IgnoredAny;

use crate::{
    fields::{self, Refused},
    settings::files::{File, Folder, Format},
};

/// The contents of a file.
pub type Bytes = Zeroizing<Vec<u8>>;

/// Why a version is not written.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be written as {format}: {refused}")]
pub struct NotWritten {
    file: String,
    format: &'static str,
    refused: Refused,
}

/// All files of a folder, of this version. `both` says whether the previous version still logs in.
///
/// # Errors
///
/// A format cannot hold a value of the secret. Then none of the files is written.
pub fn render(
    folder: &Folder,
    credential: &Credential,
    both: bool,
) -> Result<Vec<Bytes>, NotWritten> {
    let previous = credential.previous().filter(|_| both);
    let render = |file: &File| {
        let rendered = bytes(&file.format, credential, previous);
        rendered.map_err(|refused| NotWritten {
            file: file.name.clone(),
            format: file.format.name(),
            refused,
        })
    };
    folder.files.iter().map(render).collect()
}

fn bytes(
    format: &Format,
    credential: &Credential,
    previous: Option<&Credential>,
) -> Result<Bytes, Refused> {
    match format {
        Format::PgService {
            service,
            parameters,
        } => {
            let named = fields::parameters(credential)?;
            pg_service::text(service, &named, parameters)
        }
        Format::Pgpass => pgpass::text(credential),
        Format::Userlist => userlist::text(credential, previous),
        Format::Env { values } if values.is_empty() => env::text(&fields::variables(credential)?),
        Format::Env { values } => {
            let value = |(name, key): (&String, &String)| {
                Ok((name.clone(), fields::value(credential, key)?))
            };
            env::text(&values.iter().map(value).collect::<Result<Vec<_>, _>>()?)
        }
        Format::Json => document(credential),
        Format::Plain { key: Some(key) } => Ok(copy(
            fields::value(credential, key)?.expose_secret().as_bytes(),
        )),
        Format::Plain { key: None } => Ok(whole(credential)),
    }
}

fn document(credential: &Credential) -> Result<Bytes, Refused> {
    let text = credential.text().map_or("", |text| text.expose_secret());
    // serde's error would quote the text
    let is_object = serde_json::from_str::<HashMap<String, IgnoredAny>>(text).is_ok();
    match is_object {
        true => Ok(copy(text.as_bytes())),
        false => Err(Refused::new("the secret", "is no JSON object")),
    }
}

fn whole(credential: &Credential) -> Bytes {
    match (credential.text(), credential.binary()) {
        (Some(text), _) => copy(text.expose_secret().as_bytes()),
        (None, bytes) => copy(bytes.map_or(&[], |bytes| bytes.expose_secret())),
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    bytes.to_vec().into()
}

/// An empty text with room for values of this length: growing it leaves no copies in memory.
fn room(values: usize) -> Bytes {
    Vec::with_capacity(4096 + values).into()
}

/// Refuses characters that end a line or a text in every reader.
fn one_line<'a>(key: &str, value: &'a SecretString) -> Result<&'a str, Refused> {
    let value = value.expose_secret();
    match value.contains(['\n', '\r', '\0']) {
        true => Err(Refused::new(
            key,
            "has a line break or a NUL, which this format cannot hold",
        )),
        false => Ok(value),
    }
}

/// Until when the previous version logs in: for the overlap window after this one became current. That is when it was created, or
/// when it was `seen` to replace another one.
pub(super) fn both_until(
    credential: &Credential,
    window: std::time::Duration,
    seen: Option<SystemTime>,
) -> Option<SystemTime> {
    let began = credential.created().max(seen)?;
    let window = credential
        .overlap_window()
        .map_or(window, |own| own.min(window));
    began.checked_add(window)
}
